/** How a WebAssembly guest ends, by whose doing, as the lease hears of it. */
import { createHash } from "node:crypto";
import { mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import wabtInit from "wabt";
import { afterAll, beforeAll, expect, it } from "vitest";
import { WORKER_FILES, pythonRuntime } from "@xenoservers/guests";
import { statePiecesOf, type JobSpec } from "@xenoservers/protocol";
import type { InputTree } from "@xenoservers/protocol/channel";
import { HOSTILE } from "../../../../../test/engine/hostile-modules.ts";
import type { RunningGuest } from "../driver.ts";
import { RefusedJob } from "../refused.ts";
import { createWasmDriver } from "./wasm-driver.ts";
import type { PreparedJob, WasmDriver } from "./wasm-job.ts";
import { thoroughly } from "../../../../../test/thorough.ts";

let folder: string;
let driver: WasmDriver;
beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), "xeno-wasm-driver-"));
  driver = await createWasmDriver({ folder, cache: path.join(folder, "prepared"), poolSize: 1, warm: 8, inUse: [] });
});
afterAll(async () => {
  await driver.close();
  await rm(folder, { recursive: true, force: true });
});

const digest = (bytes: Uint8Array | string) => createHash("sha256").update(bytes).digest("hex");
const NOTHING = '(module (memory (export "memory") 1) (func (export "_start")))';
const SPINS = '(module (memory (export "memory") 1) (func (export "_start") (loop (br 0))))';
const OUT = { path: "/out", writable: true, keep: true };
const IN = { path: "/in", writable: false, keep: false };

async function prepare(module: Uint8Array | string, over: Partial<JobSpec> = {}, inputs: InputTree = { entries: [], mounts: [OUT] }) {
  return prepareWith(null, module, over, inputs);
}
async function prepareWith(
  breakpoints: PreparedJob["breakpoints"],
  module: Uint8Array | string,
  over: Partial<JobSpec>,
  inputs: InputTree = { entries: [], mounts: [OUT] },
  fuelMax = 10n ** 12n,
  sharedBy?: string,
) {
  const bytes = typeof module === "string" ? Buffer.from((await wabtInit()).parseWat("t.wat", module).toBinary({}).buffer) : module;
  for (const blob of ["", "abc", bytes]) await writeFile(path.join(folder, digest(blob)), blob);
  const preopens = inputs.mounts.map(({ path: at }): [string, string] => [at, at]);
  const spec = {
    preopens,
    ...{ module: digest(bytes), args: ["job"], env: [], inputs: "00".repeat(32), stdin: digest(""), engine: driver.engine },
    ...{ memoryMibMax: 64, diskMibMax: 16, outputMibMax: 1, fuelMax: "1000000000000", seed: "00".repeat(32), clockBaseMs: 0 },
    ...over,
  };
  const job = {
    lease: "00".repeat(32),
    customer: "p_1",
    spec,
    inputs,
    vcpu: 2,
    fuelMax,
    runMsMax: 600_000,
    breakpoints,
    ...(sharedBy === undefined ? {} : { sharedBy }),
  };
  return driver.prepare({ ...job, blobFile: (name) => path.join(folder, name) });
}
async function endOf(...args: Parameters<typeof prepare>) {
  const guest = await (await prepare(...args)).begin();
  const end = await guest.ended;
  await guest.dispose();
  return end;
}

const asResult = async ({ ended }: RunningGuest) => {
  const end = await ended;
  if (end.kind !== "result") throw new Error(end.detail);
  return end;
};

it.each([
  [
    "files without a disk",
    { diskMibMax: 0 },
    { entries: [{ path: "in/a", kind: "file" as const, digest: digest("abc"), size: 3 }], mounts: [IN] },
    /--disk/,
  ],
  ["mounts in each other", {}, { entries: [], mounts: [OUT, { ...OUT, path: "/out/more" }] }, /lies inside/],
  ["more output than anything else", { outputMibMax: 4_000 }, { entries: [], mounts: [] }, /--max-output/],
])("refuses a job that does not fit before anything of it is there: %s", async (_what, over, inputs, words) => {
  const refused = prepare(NOTHING, over, inputs);
  await expect(refused).rejects.toThrow(RefusedJob);
  await expect(refused).rejects.toThrow(words);
});

it("says job-refused where bytes are not as large as they were said to be", async () => {
  const inputs: InputTree = { entries: [{ path: "in/a", kind: "file", digest: digest("abc"), size: 2 }], mounts: [IN] };
  expect(await endOf(NOTHING, {}, inputs)).toMatchObject({ kind: "result", reason: "job-refused", tree: [], fuel: 0n, memoryHash: null });
});

it("runs a job without a disk", async () => {
  expect(await endOf(NOTHING, { diskMibMax: 0 })).toMatchObject({ kind: "result", reason: "completed", exitCode: 0 });
});

it("says memory-limit in words where a module needs more than was ordered, and module-malformed where it is too much of anything else", async () => {
  expect(await endOf(HOSTILE.memory())).toMatchObject({ reason: "memory-limit", detail: expect.stringContaining("64 MiB were ordered") });
  expect(await endOf(HOSTILE.mutableGlobals(100_000))).toMatchObject({
    reason: "module-malformed",
    detail: expect.stringContaining("globals"),
  });
});

it("says the same of a module that needs more memory, made before or not, and whatever else is wrong", async () => {
  const module = '(module (memory (export "memory") 100) (func (export "_start") (drop (i32.const 5))))';
  const wrong: InputTree = { entries: [{ path: "in/a", kind: "file", digest: digest("abc"), size: 2 }], mounts: [IN] };
  const few = () => endOf(module, { memoryMibMax: 4 }, wrong);
  const before = await few();
  expect(before).toMatchObject({ reason: "memory-limit", fuel: 0n, tree: [], memoryHash: null, detail: expect.stringContaining("7 MiB") });
  expect(await endOf(module)).toMatchObject({ reason: "completed" });
  expect(await few()).toEqual({ ...before, endedMonotonicMs: expect.any(Number) as number });
});

thoroughly("says stopped, with nothing, where it was stopped before it could run", async () => {
  const guest = await (await prepare(HOSTILE.slowToRead())).begin();
  await guest.stop(0);
  expect(await guest.ended).toMatchObject({ kind: "result", reason: "stopped", tree: [], fuel: 0n });
  await guest.dispose();
});

it("says whose doing it cannot tell where a process broke by itself, and host failure where it was killed", async () => {
  const guests = await Promise.all(["SIGSEGV", "SIGKILL"].map(async (signal) => ({ signal, guest: await (await prepare(SPINS)).begin() })));
  for (const { signal, guest } of guests) process.kill(Number(guest.token["pid"]), signal);
  const ends = await Promise.all(guests.map(({ guest }) => guest.ended));
  expect(ends).toMatchObject([{ kind: "result", reason: "vm-crashed" }, { kind: "host-failure" }]);
  for (const { guest } of guests) await guest.dispose();
});

it("takes an interpreter's job down, and goes on with it in another process", async () => {
  const { digest: module } = await pythonRuntime();
  const step = "150000000";
  const job = { module, args: ["python", "-c", "print(sum(i * i for i in range(30_000)))"], memoryMibMax: 256, diskMibMax: 64 };
  const begin = async (breakpoints: PreparedJob["breakpoints"]) => (await prepareWith(breakpoints, NOTHING, job)).begin();
  const [plain, traced] = [await begin(null), await begin({ kind: "trace", step })];
  const [{ fuel, memoryHash }, end] = [await asResult(plain), await asResult(traced)];
  expect(end).toMatchObject({ reason: "completed", exitCode: 0, fuel, memoryHash });
  expect(Buffer.from(await traced.readStream("stdout", 0)).toString()).toBe("8999550005000\n");
  const roots = end.roots!;
  expect(roots).toHaveLength(Number(fuel / BigInt(step)));
  const middle = Math.floor(roots.length / 2);
  const piece = async (digest: string): Promise<Uint8Array> => {
    const bytes = await traced.readOutput(digest, 0, 2 ** 30);
    await writeFile(path.join(folder, digest), bytes);
    return bytes;
  };
  const pieces = statePiecesOf(await piece(roots[middle - 1]!))!;
  for (const digest of pieces) await piece(digest);
  const all = [roots[middle - 1]!, ...pieces].map((digest) => ({ digest }));
  const segment = await begin({ kind: "segment", from: roots[middle - 1]!, step, index: middle + 1, upTo: null, pieces: all });
  expect(await asResult(segment)).toMatchObject({ reason: "segment-end", stateRoot: roots[middle] });
  for (const guest of [plain, traced, segment]) await guest.dispose();
});

/** The last segment of a job that has so many breakpoints, and all of it, plain. */
async function lastSegmentOf(module: string, breakpoints: number, step: string, fuelMax: bigint) {
  const begin = async (how: PreparedJob["breakpoints"]) =>
    (await prepareWith(how, module, {}, { entries: [], mounts: [] }, fuelMax)).begin();
  const [plain, traced] = [await begin(null), await begin({ kind: "trace", step })];
  const [end, { roots }] = [await asResult(plain), await asResult(traced)];
  expect(roots).toHaveLength(breakpoints);
  const from = roots?.at(-1) ?? "";
  const pieces = [from, ...(statePiecesOf(await traced.readOutput(from, 0, 2 ** 30)) ?? [])].map((each) => ({ digest: each }));
  for (const piece of pieces) await writeFile(path.join(folder, piece.digest), await traced.readOutput(piece.digest, 0, 2 ** 30));
  const last = await begin({ kind: "segment", from, step, index: breakpoints + 1, upTo: fuelMax.toString(), pieces });
  const [again, segment] = [await asResult(traced), await asResult(last)];
  for (const guest of [plain, traced, last]) await guest.dispose();
  return { end, again, segment };
}

it("ends a second run with breakpoints, and its last segment, where the first run was ended from outside", async () => {
  const counts = `(module (memory (export "memory") 1) (func (export "_start")
    (loop (i32.store (i32.const 0) (i32.add (i32.load (i32.const 0)) (i32.const 1))) (br 0))))`;
  const { end, again, segment } = await lastSegmentOf(counts, 3, "300000", 1_000_001n);
  const { reason, fuel, fuelInAll, memoryHash } = end;
  expect([reason, fuelInAll]).toEqual(["fuel-limit", fuel]);
  expect(again).toMatchObject({ reason, fuel, memoryHash });
  expect(segment).toMatchObject({ reason, fuelInAll, memoryHash });
});

it("states no less than nothing for a segment in which the job broke: its fuel is what was noted before", async () => {
  const breaks = `(module (memory (export "memory") 1) (func (export "_start") (local $i i32)
    (loop (drop (i32.div_u (i32.const 5) (i32.sub (i32.const 10) (local.tee $i (i32.add (local.get $i) (i32.const 1)))))) (br 0))))`;
  const { end, again, segment } = await lastSegmentOf(breaks, 3, "50", 10n ** 9n);
  expect(end).toMatchObject({ reason: "completed" });
  expect(again).toMatchObject({ fuel: end.fuel, memoryHash: end.memoryHash });
  expect(segment).toMatchObject({ fuelInAll: end.fuel, memoryHash: end.memoryHash });
  expect(segment.fuel).toBe(0n);
});

it("runs one key's jobs in one process, and nobody else's; a lone job, and one with breakpoints, in none that ran any", async () => {
  const pidOf = async (sharedBy: string | undefined, over: Partial<JobSpec> = {}, breakpoints: PreparedJob["breakpoints"] = null) => {
    const prepared = await prepareWith(breakpoints, NOTHING, over, undefined, undefined, sharedBy);
    const guest = await prepared.begin();
    expect(await asResult(guest)).toMatchObject({ reason: "completed", exitCode: 0 });
    await guest.dispose();
    return prepared.token["pid"];
  };
  const first = await pidOf("p_1 key");
  expect(await pidOf("p_1 key")).toBe(first);
  // of another program, and again of the first
  expect(await pidOf("p_1 key", { args: ["other"], seed: "11".repeat(32) })).toBe(first);
  const others = [
    await pidOf("p_1 other key"),
    await pidOf("p_2 key"),
    await pidOf(undefined),
    await pidOf("p_1 key", { memoryMibMax: 65 }),
    await pidOf("p_1 key", {}, { kind: "trace", step: "1000000" }),
  ];
  expect(others).not.toContain(first);
  expect(new Set(others).size).toBe(others.length);
  expect(await pidOf("p_1 key")).toBe(first);
});

it.each([
  ["before its process had it", false],
  ["as it noted which job its process gets", true],
])("says that a job never began where the daemon was killed %s, and leaves nothing of it", async (_when, isNoting) => {
  const { token } = await prepare(NOTHING);
  const at = path.dirname(String(token["folder"]));
  const own = path.basename(String(token["folder"])).replace(/\.1$/, "");
  if (isNoting) await writeFile(path.join(at, own, WORKER_FILES.job), "");
  const before = await readdir(at);
  // a daemon that is gone has no more to say to it
  process.kill(Number(token["pid"]), "SIGKILL");
  expect(await driver.adopt(token)).toBeNull();
  expect(before).toContain(own);
  expect(await readdir(at)).not.toContain(own);
});

it("finds one that had its job, also where that is over before anybody looks", async () => {
  const prepared = await prepare(NOTHING);
  const guest = await prepared.begin();
  await guest.ended;
  guest.release();
  const found = await driver.adopt(prepared.token);
  expect(await found?.ended).toMatchObject({ kind: "result", reason: "completed" });
  await found?.dispose();
});
