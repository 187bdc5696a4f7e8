import { mkdir, mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { expect, it } from "vitest";
import { ModuleCache, WORKER_FILES } from "./index.ts";

it("keeps a customer's modules within a share, and lets go of all where room is short", async () => {
  const folder = await mkdtemp(path.join(tmpdir(), "xeno-modules-"));
  try {
    const [kept, worker] = [path.join(folder, "kept"), path.join(folder, "worker")];
    await mkdir(worker);
    await writeFile(path.join(worker, WORKER_FILES.prepared), "a module");
    const cache = new ModuleCache(kept);
    await cache.open();
    await cache.keep({ customer: "p_a", digest: "a0" }, worker);
    for (let i = 0; i < 40; i++) await cache.keep({ customer: "p_b", digest: `b${i}` }, worker);
    expect(cache.find({ customer: "p_a", digest: "a0" })).not.toBeNull();
    expect((await readdir(kept)).sort()).toEqual(["p_a-a0.wasm", ...[32, 33, 34, 35, 36, 37, 38, 39].map((i) => `p_b-b${i}.wasm`)]);
    await cache.makeRoom();
    expect([await readdir(kept), cache.find({ customer: "p_a", digest: "a0" })]).toEqual([[], null]);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});
