import { mkdir, mkdtemp, readFile, readdir, rm, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { ENGINE_VERSION } from "@xenoservers/engine";
import { afterEach, beforeEach, expect, it } from "vitest";
import { ModuleCache, keptModule } from "./index.ts";

const MIB = 1024 * 1024;
let folder: string;
let kept: string;
let worker: string;
let cache: ModuleCache;
beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), "xeno-modules-"));
  [kept, worker] = [path.join(folder, "kept"), path.join(folder, "worker")];
  await mkdir(worker);
  cache = new ModuleCache(kept);
  await cache.open();
});
afterEach(() => rm(folder, { recursive: true, force: true }));

/** Without its bytes where it is large: a file of holes. */
async function leave(size: number): Promise<void> {
  await writeFile(path.join(worker, "prepared.wasm"), "a module");
  await truncate(path.join(worker, "prepared.wasm"), size);
}
const held = async (): Promise<string[]> => (await readdir(kept)).map((name) => name.replace(`-${ENGINE_VERSION}.wasm`, "")).sort();

it("keeps a customer's modules within a share, and lets go of all where room is short", async () => {
  await leave(8);
  await cache.keep({ customer: "p_a", digest: "a0" }, worker);
  for (let i = 0; i < 40; i++) await cache.keep({ customer: "p_b", digest: `b${i}` }, worker);
  expect(await cache.find({ customer: "p_a", digest: "a0" })).not.toBeNull();
  expect(await held()).toEqual(["p_a-a0", ...[32, 33, 34, 35, 36, 37, 38, 39].map((i) => `p_b-b${i}`)]);
  await cache.forget({ customer: "p_b", digest: "b39" });
  expect(await held()).not.toContain("p_b-b39");
  await cache.makeRoom();
  expect([await held(), await cache.find({ customer: "p_a", digest: "a0" })]).toEqual([[], null]);
});

it("keeps what an earlier daemon left of this engine, and nothing of another or half of a file", async () => {
  await leave(8);
  for (const digest of ["old", "new"]) await cache.keep({ customer: "p_a", digest }, worker);
  await cache.find({ customer: "p_a", digest: "old" });
  for (const name of ["p_a-a0-xeno-wasm-0.wasm", `p_a-a1-${ENGINE_VERSION}.wasm.1.part`]) await writeFile(path.join(kept, name), "x");
  const later = new ModuleCache(kept);
  await later.open();
  expect(await held()).toEqual(["p_a-new", "p_a-old"]);
  expect(await later.find({ customer: "p_a", digest: "new" })).toContain("p_a-new");
  // another process that shares the folder may take it away at any time
  await rm(path.join(kept, `p_a-old-${ENGINE_VERSION}.wasm`));
  expect(await later.find({ customer: "p_a", digest: "old" })).toBeNull();
});

it("keeps machine code beside its module alone, in place of what there was, and lets go of both", async () => {
  const module = { customer: "p_a", digest: "a0" };
  const leaveCode = (text: string): Promise<void> => writeFile(path.join(worker, "prepared.code"), text);
  await leave(8);
  await leaveCode("first");
  await cache.keepCode(module, worker);
  expect(await held()).toEqual([]);
  await cache.keep(module, worker);
  await cache.keepCode(module, worker);
  const code = `${(await keptModule(kept, module))!}.code`;
  expect(await readFile(code, "utf8")).toBe("first");
  await leaveCode("second");
  await cache.keepCode(module, worker);
  // a job that hands in none changes nothing
  await leaveCode("");
  await cache.keepCode(module, worker);
  await writeFile(path.join(kept, `p_a-a9-${ENGINE_VERSION}.wasm.code`), "of no module");
  const later = new ModuleCache(kept);
  await later.open();
  expect([await readFile(code, "utf8"), (await readdir(kept)).length]).toEqual(["second", 2]);
  await later.forget(module);
  expect([await readdir(kept), await keptModule(kept, module)]).toEqual([[], null]);
});

it("keeps a module of any size that the engine makes, as many as fit", async () => {
  await leave(48 * MIB);
  await cache.keep({ customer: "p_a", digest: "large" }, worker);
  expect(await held()).toEqual(["p_a-large"]);
  const small = new ModuleCache(kept, 4_000);
  await small.open();
  expect(await held()).toEqual([]);
  for (const [digest, size] of [
    ["a", 400],
    ["b", 500],
    ["c", 300],
    ["d", 1_001],
    ["e", 0],
  ] as const) {
    await leave(size);
    await small.keep({ customer: "p_a", digest }, worker);
  }
  expect(await held()).toEqual(["p_a-b", "p_a-c"]);
  for (const customer of ["p_b", "p_c", "p_d", "p_e"]) {
    await leave(1_000);
    await small.keep({ customer, digest: "f" }, worker);
  }
  expect(await held()).toEqual(["p_b-f", "p_c-f", "p_d-f", "p_e-f"]);
});
