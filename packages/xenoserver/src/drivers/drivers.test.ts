import { createHash } from "node:crypto";
import { mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, expect, it } from "vitest";
import { systemTimers } from "@xenoservers/protocol/link";
import { printing } from "../../../../test/process/jobs.ts";
import { preparedCache } from "../../../../test/shared.ts";
import { until } from "../../../../test/until.ts";
import { driverContract } from "./driver-contract.ts";
import type { GuestDriver, PreparedJob, RunningGuest } from "./driver.ts";
import { createSimDriver } from "./sim/sim-driver.ts";
import { createWasmDriver } from "./wasm/wasm-driver.ts";

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
const base = { lease: "00".repeat(32), customer: "p_1", fuelMax: 1_000_000_000_000n, runMsMax: 3_600_000, checkpoints: null };

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
const opened = (): Promise<GuestDriver> =>
  (wasm ??= folder.then(async (at) => createWasmDriver({ folder: at, cache: await preparedCache(at), poolSize: 1, inUse: [] })));
afterAll(async () => {
  await (await wasm)?.close();
  await rm(await folder, { recursive: true, force: true });
});
/** A machine that does more in a millisecond is quick; one that does less takes longer, which is right too. */
const ROUNDS_PER_MS = 300_000;
const LONG_MS = 60_000;
driverContract("wasm", async () => {
  const at = await folder;
  return {
    driver: await opened(),
    jobs: {
      async prints(text, exit, ms): Promise<PreparedJob> {
        const bytes = await printing(text, ms < LONG_MS ? ms * ROUNDS_PER_MS : "endless", exit);
        const module = createHash("sha256").update(bytes).digest("hex");
        await writeFile(path.join(at, digest("")), "");
        await writeFile(path.join(at, module), bytes);
        return {
          ...base,
          spec: { ...spec, module, args: ["job"] },
          inputs: { entries: [], mounts: [{ path: "/out", writable: true, keep: true }] },
          blobFile: (name) => path.join(at, name),
        };
      },
    },
  };
});

it("starts a known module as it was made for the same customer, and for no other", async () => {
  const at = await folder;
  const driver = await opened();
  // (module (memory (export "memory") 1) (func (export "_start") (i32.store (i32.const 8) (i32.const 7))))
  const bytes = Buffer.from("0061736d01000000010401600000030201000503010001071302066d656d6f72790200065f737461727400000a0b010900410841073602000b", "hex");
  const module = createHash("sha256").update(bytes).digest("hex");
  const blob = path.join(at, module);
  await writeFile(path.join(at, digest("")), "");
  await writeFile(blob, bytes);
  const guests: RunningGuest[] = [];
  const run = async (customer: string) => {
    const inputs = { entries: [], mounts: [] };
    const prepared = await driver.prepare({ ...base, customer, spec: { ...spec, module, args: ["job"] }, inputs, blobFile: (name) => path.join(at, name) });
    const guest = await prepared.begin();
    const end = await guest.ended;
    guests.push(guest);
    if (end.kind !== "result") throw new Error(end.detail);
    return { reason: end.reason, fuel: end.fuel, memoryHash: end.memoryHash };
  };
  const first = await run("p_1");
  expect(first).toMatchObject({ reason: "completed" });
  const isKept = async (customer: string) => (await readdir(path.join(at, "modules"))).includes(`${customer}-${module}.wasm`);
  await until(() => isKept("p_1"));
  expect(await isKept("p_2")).toBe(false);
  await rm(blob);
  expect(await run("p_1")).toEqual(first);
  await expect(run("p_2")).rejects.toThrow("ENOENT");
  await writeFile(blob, bytes);
  expect(await run("p_2")).toEqual(first);
  expect(await run("p_1")).toEqual(first); // on a worker that waited with the other's module
  for (const guest of guests) await guest.dispose();
});
