import { createHash } from "node:crypto";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll } from "vitest";
import { pythonRuntime } from "@xenoservers/guests";
import { systemTimers } from "@xenoservers/protocol/link";
import { driverContract } from "./driver-contract.ts";
import type { GuestDriver, PreparedJob } from "./driver.ts";
import { createSimDriver } from "./sim-driver.ts";
import { createWasmDriver } from "./wasm-driver.ts";

const digest = (text: string) => createHash("sha256").update(text).digest("hex");
const spec = {
  module: "00".repeat(32),
  env: [],
  inputs: "00".repeat(32),
  stdin: digest(""),
  engine: "e",
  memoryMibMax: 256,
  diskMibMax: 16,
  outputMibMax: 1,
  fuelMax: "1000000000000",
  seed: "00".repeat(32),
  clockBaseMs: 0,
};
const base = { lease: "00".repeat(32), fuelMax: 1_000_000_000_000n, runMsMax: 120_000, checkpoints: null };

const sim = createSimDriver(systemTimers);
driverContract("simulated", async () => ({
  driver: sim,
  jobs: {
    prints: async (text, exit, ms): Promise<PreparedJob> => ({
      ...base,
      spec: { ...spec, args: ["run", String(ms), String(exit), text] },
      inputs: { entries: [], mounts: [] },
      blobFile: () => "",
    }),
  },
}));

const folder = mkdtemp(path.join(tmpdir(), "xeno-driver-"));
let wasm: Promise<GuestDriver> | null = null;
afterAll(async () => {
  await (await wasm)?.close();
  await rm(await folder, { recursive: true, force: true });
});
driverContract("wasm", async () => {
  const at = await folder;
  wasm ??= createWasmDriver({ folder: at, cache: path.join(at, "prepared"), poolSize: 1, inUse: [] });
  const python = await pythonRuntime();
  return {
    driver: await wasm,
    jobs: {
      async prints(text, exit, ms): Promise<PreparedJob> {
        const source = `import sys, time\nsys.stdout.write('${text}')\nsys.stdout.flush()\nopen('/out/text', 'w').write('${text}')\nt = time.monotonic()\nwhile time.monotonic() - t < ${ms / 1000} * 1.5: pass\nsys.exit(${exit})`;
        for (const content of ["", source]) await writeFile(path.join(at, digest(content)), content);
        return {
          ...base,
          spec: { ...spec, module: python.digest, args: ["python", "/app/main.py"] },
          inputs: {
            entries: [{ path: "app/main.py", kind: "file", digest: digest(source), size: source.length }],
            mounts: [
              { path: "/app", writable: false, keep: false },
              { path: "/out", writable: true, keep: true },
            ],
          },
          blobFile: (name) => path.join(at, name),
        };
      },
    },
  };
});
