/** A process that goes on with its customer's next job: what it was, nothing of it is left; and who never goes on. */
import { createHash } from "node:crypto";
import { mkdtemp, readFile, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import wabtInit from "wabt";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { preparedCache } from "../../../test/shared.ts";
import {
  WORKER_FILES,
  WorkerPool,
  adopt,
  createSandbox,
  followTaken,
  isAlive,
  preparedRuntime,
  pythonRuntime,
  type Guest,
  type Lane,
  type Sandbox,
  type TakenWorker,
  type WorkerJob,
} from "./index.ts";

let folder: string;
let sandbox: Sandbox;
let pool: WorkerPool;
const pools: WorkerPool[] = [];

beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), "xeno-warm-"));
  const python = await pythonRuntime();
  const cache = await preparedCache(folder);
  sandbox = await createSandbox(path.join(folder, "sandbox"), new Map([[python.name, await preparedRuntime(python, cache)]]));
  pool = await poolOf(4);
});
const started: Guest[] = [];
afterAll(async () => {
  for (const guest of started) await guest.dispose();
  for (const one of pools) await one.close();
  await rm(folder, { recursive: true, force: true });
});

async function poolOf(warm: number): Promise<WorkerPool> {
  const made = new WorkerPool(sandbox, path.join(folder, `pool-${pools.length}`), 0, { warm });
  pools.push(made);
  await made.open();
  return made;
}

const digest = (bytes: Uint8Array | string) => createHash("sha256").update(bytes).digest("hex");
const SIZE = { memoryMibMax: 64, diskMibMax: 16, outputMibMax: 1 };
const laneOf = (customer: string, module: string, over: Partial<Lane["size"]> = {}): Lane => ({
  customer,
  key: "k",
  module,
  size: { ...SIZE, vcpu: 1, ...over },
});

interface Ran {
  worker: TakenWorker;
  guest: Guest;
  /** What can be compared: all that the result says but when. */
  result: object;
  stdout: string;
  kept: string[];
}

async function hand(job: Partial<WorkerJob>, blobs: readonly (Uint8Array | string)[], lane: Lane | null, from = pool) {
  const worker = await from.take(null, lane);
  for (const blob of ["", ...blobs]) await writeFile(path.join(worker.folder, WORKER_FILES.blobs, digest(blob)), blob);
  const guest = followTaken(worker);
  started.push(guest);
  const size = { memoryMibMax: SIZE.memoryMibMax, diskMibMax: SIZE.diskMibMax, outputMibMax: SIZE.outputMibMax };
  await worker.hand(
    {
      ...{ module: lane?.module ?? "none", modulePath: "", prepared: false, comesWithEngine: false, keepPrepared: false },
      ...{ args: ["job"], env: [], inputs: [], preopens: [["/out", "/out"]], stdin: digest(""), seed: "07".repeat(32), clockBaseMs: 5 },
      mounts: [{ path: "/out", writable: true, keep: true }],
      ...{ ...size, fuelMax: "1000000000000000", runMsMax: 3_600_000, breakpoints: null },
      ...job,
    },
    1,
  );
  return { worker, guest };
}

async function ran(job: Partial<WorkerJob>, blobs: readonly (Uint8Array | string)[], lane: Lane | null, from = pool): Promise<Ran> {
  const { worker, guest } = await hand(job, blobs, lane, from);
  const end = await guest.ended;
  if (end.kind !== "finished") throw new Error(JSON.stringify(end));
  const { endedMonotonicMs: _, ...result } = end.result;
  const kept: string[] = [];
  for (const { digest: of } of result.tree) if (of) kept.push(Buffer.from(await guest.readKept(of, 0, 1_000)).toString());
  return { worker, guest, result, kept, stdout: Buffer.from(await guest.read("stdout", 0)).toString() };
}

const assembled = async (text: string): Promise<Uint8Array> => Buffer.from((await wabtInit()).parseWat("t.wat", text).toBinary({}).buffer);
async function wasm(customer: string, text: string, over: Partial<WorkerJob> = {}, from = pool): Promise<Ran> {
  const bytes = await assembled(text);
  const at = `${WORKER_FILES.blobs}/${digest(bytes)}`;
  const done = await ran({ modulePath: at, ...over }, [bytes], laneOf(customer, digest(bytes)), from);
  await done.guest.settled;
  return done;
}

/** Counts in memory and in a global how often it ran, prints that, and keeps it in a file. */
const COUNTS = `(module
  (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "path_open" (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
  (memory (export "memory") 2)
  (global $runs (mut i32) (i32.const 0))
  (data (i32.const 32) "mine")
  (func (export "_start")
    (global.set $runs (i32.add (global.get $runs) (i32.const 1)))
    (i32.store8 (i32.const 200) (i32.add (i32.load8_u (i32.const 200)) (i32.const 1)))
    (i32.store8 (i32.const 100) (i32.add (i32.const 48) (i32.add (global.get $runs) (i32.load8_u (i32.const 200)))))
    (i32.store (i32.const 0) (i32.const 100)) (i32.store (i32.const 4) (i32.const 1))
    (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))
    ;; O_CREAT and O_EXCL: it is there only where an earlier job's files are
    (if (call $open (i32.const 3) (i32.const 0) (i32.const 32) (i32.const 4) (i32.const 5) (i64.const 64) (i64.const 0) (i32.const 0) (i32.const 12))
      (then (unreachable)))
    (drop (call $write (i32.load (i32.const 12)) (i32.const 0) (i32.const 1) (i32.const 8)))))`;
const TRAPS = '(module (memory (export "memory") 1) (func (export "_start") (i32.store (i32.const 8) (i32.const 7)) unreachable))';
const SPINS = '(module (memory (export "memory") 1) (func (export "_start") (loop (br 0))))';
const OVERFLOWS = '(module (memory (export "memory") 1) (func $f (export "_start") (call $f)))';

describe("a process that goes on", () => {
  it.each([
    ["counts", COUNTS, {}],
    ["traps", TRAPS, {}],
    ["runs out of stack", OVERFLOWS, {}],
    ["runs out of fuel", SPINS, { fuelMax: "500000" }],
  ])("does what a fresh one does, to the byte, where its job %s", async (what, text, over) => {
    const customer = `same-${what}`;
    const first = await wasm(customer, COUNTS);
    const second = await wasm(customer, text, over);
    expect(second.worker.id).toEqual(first.worker.id);
    const cold = await wasm(`cold-${what}`, text, over);
    expect(cold.worker.id).not.toEqual(first.worker.id);
    expect([second.result, second.stdout, second.kept]).toEqual([cold.result, cold.stdout, cold.kept]);
  });

  it("begins anew each time, and what the jobs before left stays as it was", async () => {
    const runs: Ran[] = [];
    for (let i = 0; i < 4; i++) runs.push(await wasm("anew", COUNTS));
    expect(new Set(runs.map(({ worker }) => worker.id.pid)).size).toBe(1);
    for (const { guest, result } of runs) {
      expect(result).toEqual(runs[0]?.result);
      expect(Buffer.from(await guest.read("stdout", 0)).toString()).toBe("2");
      expect((await readdir(guest.folder)).sort()).toEqual(["kept", "kept.index", "progress", "result.json", "stderr", "stdout"]);
    }
    const [first, second] = runs as [Ran, Ran];
    await first.guest.dispose();
    expect(await isAlive(second.worker.id)).toBe(true);
    expect(Buffer.from(await second.guest.read("stdout", 0)).toString()).toBe("2");
  });

  it("has the next job's memory whole, whatever those before it touched", async () => {
    const touches = `(module (memory (export "memory") 1) (func (export "_start") (local $at i32)
      (drop (memory.grow (i32.const 1000)))
      (loop $more
        (i32.store8 (local.get $at) (i32.const 1))
        (br_if $more (i32.lt_u (local.tee $at (i32.add (local.get $at) (i32.const 4096))) (i32.const 65000000))))))`;
    const first = await wasm("touches", touches);
    expect(first.result).toMatchObject({ ending: "exit", exitCode: 0 });
    for (let i = 0; i < 7; i++) expect((await wasm("touches", touches)).result).toEqual(first.result);
  });

  it("runs Python to the same fuel, memory and output", async () => {
    const source = "import random, os; open('/out/a','w').write(str(random.random())); print(os.listdir('/out'), random.random())";
    const job: Partial<WorkerJob> = {
      ...{ modulePath: sandbox.runtimePath("python.wasm"), prepared: true, comesWithEngine: true, args: ["python", "/app/main.py"] },
      inputs: [{ path: "app/main.py", kind: "file", digest: digest(source), size: source.length }],
      mounts: [
        { path: "/app", writable: false, keep: false },
        { path: "/out", writable: true, keep: true },
      ],
      preopens: [
        ["/app", "/app"],
        ["/out", "/out"],
      ],
      memoryMibMax: 128,
    };
    const lane = laneOf("snake", "python", { memoryMibMax: 128 });
    const first = await ran(job, [source], lane);
    await first.guest.settled;
    const second = await ran(job, [source], lane);
    expect(second.worker.id).toEqual(first.worker.id);
    expect([second.result, second.stdout, second.kept]).toEqual([first.result, first.stdout, first.kept]);
    expect(first.stdout).toContain("['a']");
  });
});

describe("a process takes no other job", () => {
  const idOf = async (customer: string, lane?: Partial<Lane["size"]>) => {
    const bytes = await assembled(TRAPS);
    const at = `${WORKER_FILES.blobs}/${digest(bytes)}`;
    return (await ran({ modulePath: at }, [bytes], laneOf(customer, digest(bytes), lane))).worker.id;
  };

  it.each([
    ["that ran out of fuel", SPINS, { fuelMax: "500000" }],
    ["whose module is none", "(module)", {}],
  ])("after one %s", async (what, text, over) => {
    const { worker } = await wasm(what, text, over);
    await worker.exited;
    expect(await idOf(what)).not.toEqual(worker.id);
  });

  it("after one that was stopped, or was told anything from outside", async () => {
    const bytes = await assembled(SPINS);
    const at = `${WORKER_FILES.blobs}/${digest(bytes)}`;
    const { worker, guest } = await hand({ modulePath: at }, [bytes], laneOf("stopped", digest(bytes)));
    await guest.stop();
    expect(await guest.ended).toMatchObject({ kind: "finished", result: { ending: "stopped" } });
    await guest.settled;
    expect(await idOf("stopped")).not.toEqual(worker.id);
  });

  it("after one that left more than is set apart, which stays where it is", async () => {
    const much = `(module (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
      (memory (export "memory") 20)
      (func (export "_start") (i32.store (i32.const 0) (i32.const 16)) (i32.store (i32.const 4) (i32.const 1100000))
        (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))))`;
    const { worker, guest } = await wasm("much", much, { outputMibMax: 2 });
    expect(guest.folder).toBe(worker.folder);
    expect((await guest.read("stdout", 1_099_990)).length).toBe(10);
    expect(await idOf("much")).not.toEqual(worker.id);
  });

  it("of another size, or of nobody in particular", async () => {
    const first = await idOf("sizes");
    await started.at(-1)?.settled;
    expect(await idOf("sizes", { memoryMibMax: 65 })).not.toEqual(first);
    expect((await hand({ modulePath: "none" }, [], null)).worker.id).not.toEqual(first);
    expect(await idOf("sizes")).toEqual(first);
  });
});

describe("what is told to an earlier guest", () => {
  it("meets no later one: neither a signal nor its removal", async () => {
    const first = await wasm("told", COUNTS);
    const bytes = await assembled(SPINS);
    const { worker, guest } = await hand({ modulePath: `${WORKER_FILES.blobs}/${digest(bytes)}` }, [bytes], laneOf("told", digest(bytes)));
    expect(worker.id).toEqual(first.worker.id);
    await first.guest.signal("SIGSTOP");
    await first.guest.stop();
    await first.guest.kill();
    await first.guest.dispose();
    expect(await isAlive(worker.id)).toBe(true);
    await guest.stop();
    expect(await guest.ended).toMatchObject({ kind: "finished", result: { ending: "stopped" } });
  });

  it("is of its own files: what the process writes later is not in them", async () => {
    const first = await wasm("own", COUNTS);
    // as code that broke out of the engine would, by what it has open
    for (const name of ["stdout", "kept", "result.json"]) await writeFile(path.join(first.worker.folder, name), "another's");
    expect(Buffer.from(await first.guest.read("stdout", 0)).toString()).toBe("2");
    expect(await readFile(path.join(first.worker.apart, "result.json"), "utf8")).toContain('"ending":"exit"');
  });
});

describe("a later daemon", () => {
  it("finds what was set apart, ends the process that waits, and takes no later job's for it", async () => {
    const earlier = await poolOf(2);
    const first = await wasm("later", COUNTS, {}, earlier);
    const bytes = await assembled(SPINS);
    const second = await hand({ modulePath: `${WORKER_FILES.blobs}/${digest(bytes)}` }, [bytes], laneOf("later", digest(bytes)), earlier);
    expect(second.worker.id).toEqual(first.worker.id);
    const found = (await adopt(first.worker.apart, first.worker.id, sandbox.limits))!;
    expect(await found.ended).toMatchObject({ kind: "finished", result: { ending: "exit" } });
    expect(Buffer.from(await found.read("stdout", 0)).toString()).toBe("2");
    await found.kill();
    const running = (await adopt(second.worker.apart, second.worker.id, sandbox.limits))!;
    expect(running.folder).toBe(second.worker.folder);
    running.release();
    await found.dispose();
    await expect(adopt(first.worker.apart, first.worker.id, sandbox.limits)).rejects.toThrow("has gone");
    expect(await isAlive(second.worker.id)).toBe(true);
    await second.guest.kill();
  });

  it("keeps what leases have, and nothing of a process that only waited", async () => {
    const at = path.join(folder, "left");
    const earlier = new WorkerPool(sandbox, at, 0, { warm: 2 });
    await earlier.open();
    const { worker } = await wasm("left", COUNTS, {}, earlier);
    const later = new WorkerPool(sandbox, at, 0, { warm: 2 });
    await later.open([worker.apart]);
    expect(await readdir(at)).toEqual([path.basename(worker.apart)]);
    if (sandbox.limits.kind !== "process") await worker.exited;
    await earlier.close();
    await later.close();
  });
});
