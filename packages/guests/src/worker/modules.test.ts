/** When a module's functions are validated. */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import type { WorkerJob } from "./job.ts";
import { Modules } from "./modules.ts";

/** What the platform has of it, which Node's types leave to another library. */
const { Instance } = Reflect.get(globalThis, "WebAssembly") as unknown as {
  Instance: new (module: object) => { exports: Record<string, () => void> };
};
const MIB = 1024 * 1024;
/** Two functions, `a` and `b`; the second adds numbers that are not there. */
const HALF_GOOD = Buffer.from("0061736d01000000010401600000030302000007090201610000016200010a080202000b03006a0b", "hex");

/** With a section of that size that says nothing. */
function padded(module: Buffer, size: number): Buffer {
  const length = Buffer.alloc(5);
  for (let i = 0; i < 5; i++) length[i] = (Math.floor((size + 1) / 2 ** (7 * i)) & 0x7f) | (i < 4 ? 0x80 : 0);
  return Buffer.concat([module, Buffer.from([0]), length, Buffer.alloc(size + 1)]);
}

let folder: string;
beforeAll(async () => void (folder = await mkdtemp(path.join(tmpdir(), "xeno-validated-"))));
afterAll(() => rm(folder, { recursive: true, force: true }));

async function jobOf(name: string, bytes: Uint8Array, prepared: boolean): Promise<WorkerJob> {
  const modulePath = path.join(folder, name);
  await writeFile(modulePath, bytes);
  return { module: name, modulePath, prepared, comesWithEngine: false, memoryMibMax: 1, breakpoints: null } as WorkerJob;
}

it("validates what was made ready before as it is called, and what comes from a customer at once", async () => {
  const modules = new Modules((file) => file);
  const large = modules.of(await jobOf("large", padded(HALF_GOOD, 8 * MIB), true));
  if (!large.ok) throw new Error(large.message);
  const { a, b } = new Instance(large.module).exports;
  expect(a?.()).toBeUndefined();
  // and does not end the process
  for (let i = 0; i < 2; i++) expect(() => b?.()).toThrow(expect.objectContaining({ name: "CompileError" }) as Error);
  expect(modules.of(await jobOf("small", HALF_GOOD, true))).toMatchObject({ ok: false, kind: "malformed" });
  expect(modules.of(await jobOf("own", padded(HALF_GOOD, 8 * MIB), false))).toMatchObject({ ok: false, kind: "malformed" });
});
