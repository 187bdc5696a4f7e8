/**
 * What a customer can bring about in a real worker ends with the customer's own reason, never as the host's failure: modules, inputs,
 * limits, arguments, files that are left. And what only a host can do stays the host's.
 */
import { createHash } from "node:crypto";
import { mkdir, mkdtemp, readFile, rm, symlink, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import wabtInit from "wabt";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { HOSTILE } from "../../../test/engine/hostile-modules.ts";
import {
  WORKER_FILES,
  WorkerPool,
  adopt,
  createSandbox,
  followTaken,
  preparedRuntime,
  pythonRuntime,
  type Guest,
  type Sandbox,
  type WorkerJob,
} from "./index.ts";
import { thoroughly } from "../../../test/thorough.ts";

const MIB = 1024 * 1024;
let folder: string;
let sandbox: Sandbox;
let pool: WorkerPool;

beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), "xeno-hostile-"));
  const python = await pythonRuntime();
  sandbox = await createSandbox(path.join(folder, "sandbox"), new Map([[python.name, await preparedRuntime(python, folder)]]));
  pool = new WorkerPool(sandbox, path.join(folder, "pool"), 1);
  await pool.open();
});
const started: Guest[] = [];
afterAll(async () => {
  for (const guest of started) await guest.dispose();
  await pool.close();
  await rm(folder, { recursive: true, force: true });
});

const digest = (bytes: Uint8Array | string) => createHash("sha256").update(bytes).digest("hex");

async function start(over: Partial<WorkerJob>, blobs: (Uint8Array | string)[] = []) {
  const worker = await pool.take();
  for (const blob of ["", ...blobs]) await writeFile(path.join(worker.folder, WORKER_FILES.blobs, digest(blob)), blob);
  const job: WorkerJob = {
    ...{
      modulePath: sandbox.runtimePath("python.wasm"),
      prepared: !over.modulePath,
      comesWithEngine: !over.modulePath,
      module: "hostile",
      keepPrepared: false,
      args: ["job"],
      env: [],
      inputs: [],
      mounts: [],
    },
    preopens: over.mounts?.map(({ path: at }) => [at, at]) ?? [],
    ...{ stdin: digest(""), seed: "00".repeat(32), clockBaseMs: 0, memoryMibMax: 64, diskMibMax: 64, outputMibMax: 1 },
    ...{ fuelMax: "1000000000000000", runMsMax: 600_000, breakpoints: null },
    ...over,
  };
  const guest = followTaken(worker);
  started.push(guest);
  await worker.hand(job, 1);
  return guest;
}
const module = (bytes: Uint8Array, over: Partial<WorkerJob> = {}, blobs: (Uint8Array | string)[] = []) =>
  start({ modulePath: `${WORKER_FILES.blobs}/${digest(bytes)}`, ...over }, [bytes, ...blobs]);
const assembled = async (text: string) => Buffer.from((await wabtInit()).parseWat("t.wat", text).toBinary({}).buffer);
const wat = async (text: string, over: Partial<WorkerJob> = {}) => module(await assembled(text), over);
const python = (source: string, over: Partial<WorkerJob> = {}) =>
  start(
    {
      args: ["python", "/app/main.py"],
      inputs: [{ path: "app/main.py", kind: "file", digest: digest(source), size: source.length }],
      mounts: [
        { path: "/app", writable: false, keep: false },
        { path: "/out", writable: true, keep: true },
      ],
      ...over,
    },
    [source],
  );
async function resultOf(guest: Awaited<ReturnType<typeof start>>) {
  const end = await guest.ended;
  if (end.kind !== "finished") throw new Error(JSON.stringify(end));
  const stdout = await readFile(path.join(guest.folder, "stdout"), "utf8");
  await guest.dispose();
  return { ...end.result, stdout };
}
const NOTHING = '(module (memory (export "memory") 1) (func (export "_start")))';
const RETURNS = "try:\n  {}\n  print('done')\nexcept OSError as e: print(e.errno)";
const tried = (call: string) => `import os\n${RETURNS.replace("{}", call)}`;

describe("files that a guest leaves", () => {
  it.each([
    ["a link of 5000 characters", tried("os.symlink('t' * 5000, '/out/l')"), "37\n"],
    ["folders nested past PATH_MAX", tried("os.makedirs('/out' + ('/' + 'd' * 250) * 20)"), "37\n"],
    [
      "the same, one after the other",
      `import os\nfd = os.open('/out', os.O_RDONLY)\n${RETURNS.replace("{}", "[os.mkdir('/out/' + '/'.join(['d' * 250] * i)) for i in range(1, 20)]")}`,
      "37\n",
    ],
    ["100,001 links", tried("[os.symlink('t', f'/out/{i}') for i in range(100_001)]"), "51\n"],
    ["a file grown to a terabyte", tried("os.truncate(os.open('/out/f', os.O_CREAT | os.O_RDWR), 1 << 40)"), "22\n"],
    [
      "a file without a name, written for ever",
      `import os\nfd = os.open('/out/f', os.O_CREAT | os.O_RDWR)\nos.unlink('/out/f')\n${RETURNS.replace("{}", "[os.write(fd, b'x' * 1000000) for i in range(1000)]")}`,
      "51\n",
    ],
    ["a hole of a gigabyte", tried("os.pwrite(os.open('/out/f', os.O_CREAT | os.O_RDWR), b'x', 1 << 30)"), "51\n"],
  ])("are refused at the call, and the job goes on: %s", async (_what, source, stdout) => {
    const result = await resultOf(await python(source, { diskMibMax: 256, memoryMibMax: 256 }));
    expect(result).toMatchObject({ ending: "exit", exitCode: 0, stdout });
    expect(result.tree.length).toBeLessThanOrEqual(100_000);
  });

  it("cannot be any without a disk: what does not write runs", async () => {
    const mounts = [{ path: "/out", writable: true, keep: true }];
    expect(await resultOf(await wat(NOTHING, { diskMibMax: 0, mounts }))).toMatchObject({ ending: "exit", exitCode: 0, tree: [] });
  });

  it("are listed for readers as far as there is memory for it", async () => {
    const source = `import os
for i in range(90_000): os.symlink('t', f'/out/{"n" * 100}{i}')
try:
  its = [os.scandir('/out') for _ in range(30)]
  print('done')
except OSError as e: print(e.errno)`;
    expect(await resultOf(await python(source, { diskMibMax: 512, memoryMibMax: 256 }))).toMatchObject({ ending: "exit", stdout: "48\n" });
  });
});

describe("a module that would have its host keep too much", () => {
  it.each(["wideTypes", "mutableGlobals", "imports", "functions", "nestedBlocks", "calls", "elements", "locals", "joins"] as const)(
    "is refused in words: %s",
    async (what) => {
      expect(await resultOf(await module(HOSTILE[what]()))).toMatchObject({
        ending: "malformed",
        detail: expect.stringContaining("are offered"),
      });
    },
  );

  it("runs where only its own names are long", async () => {
    expect(await resultOf(await module(HOSTILE.longNames()))).toMatchObject({ ending: "exit", exitCode: 0 });
  });

  it("meets its memory limit before any of its memory is there", async () => {
    expect(await resultOf(await module(HOSTILE.memory(), { memoryMibMax: 16 }))).toMatchObject({
      ending: "memory-limit",
      detail: "the module needs 4096 MiB of memory before it runs; 16 MiB were ordered",
      memoryHash: null,
    });
  });

  it.each([
    ["(param i64 i64 i64 i64) (result i32)", "fd_write", "(i64.const 1) (i64.const 0) (i64.const 0) (i64.const 0)"],
    ["(param i32 i32 i32 i32) (result i64)", "fd_write", "(i32.const 1) (i32.const 0) (i32.const 0) (i32.const 0)"],
    ["(param f64) (result i32)", "sched_yield", "(f64.const 0)"],
    ["(result i32)", "fd_nothing", ""],
  ])("is refused where it imports a function as %s: %s", async (type, name, args) => {
    const text = `(module (import "wasi_snapshot_preview1" "${name}" (func $f ${type})) (memory (export "memory") 1) (func (export "_start") (drop (call $f ${args}))))`;
    expect(await resultOf(await wat(text))).toMatchObject({
      ending: "malformed",
      detail: expect.stringContaining(`import of wasi_snapshot_preview1.${name}`),
    });
  });

  it("says what is wrong without half a character, however long its names are", async () => {
    const text = `(module (import "wasi_snapshot_preview1" "${"\u{1f600}".repeat(5_000)}" (func)) (memory (export "memory") 1) (func (export "_start")))`;
    const { detail } = await resultOf(await wat(text));
    expect(detail.isWellFormed()).toBe(true);
    expect(detail.length).toBeLessThanOrEqual(400);
  });

  it("grows its tables as far as they are offered", async () => {
    const text = `(module (memory (export "memory") 1) (table 1 funcref)
      (func (export "_start") (loop (br_if 0 (i32.ne (table.grow (ref.null func) (i32.const 100000)) (i32.const -1))))))`;
    const bytes = Buffer.from((await wabtInit()).parseWat("t.wat", text, { reference_types: true }).toBinary({}).buffer);
    expect(await resultOf(await module(bytes))).toMatchObject({ ending: "exit", exitCode: 0 });
  });
});

describe("inputs and limits of an order", () => {
  const file = (at: string, content: string, size = content.length) => ({ path: at, kind: "file" as const, digest: digest(content), size });
  it.each([
    [
      "larger than their disk",
      { diskMibMax: 1, inputs: [file("in/a", "x".repeat(2 * MIB))], mounts: [{ path: "/in", writable: false, keep: true }] },
    ],
    ["of another size than was said", { inputs: [file("in/a", "abc", 1)], mounts: [{ path: "/in", writable: false, keep: true }] }],
    [
      "in a place that is taken",
      { inputs: [file("in/a", "abc"), file("in/a", "abc")], mounts: [{ path: "/in", writable: false, keep: true }] },
    ],
    ["in a file", { inputs: [file("in/a", "abc"), file("in/a/b", "abc")], mounts: [{ path: "/in", writable: false, keep: true }] }],
    [
      "with names that are too long",
      { inputs: [file(`in/${"é".repeat(128)}`, "abc")], mounts: [{ path: "/in", writable: false, keep: true }] },
    ],
    [
      "mounted in each other",
      {
        mounts: [
          { path: "/in", writable: false, keep: true },
          { path: "/in/more", writable: true, keep: true },
        ],
      },
    ],
  ])("are refused, and nothing runs: %s", async (_what, over: Partial<WorkerJob>) => {
    const result = await resultOf(await module(await assembled(NOTHING), over, ["abc", "x".repeat(2 * MIB)]));
    expect(result).toMatchObject({ ending: "refused", fuel: "0", tree: [], memoryHash: null, detail: expect.stringMatching(/fit|mount/) });
  });

  it("may be longer than the platform's own timers", async () => {
    expect(await resultOf(await wat(NOTHING, { runMsMax: 2 * 31_536_000_000 }))).toMatchObject({ ending: "exit", exitCode: 0 });
  });

  it("bound both streams together, whichever is flooded", async () => {
    const flood = "import sys\nwhile True: sys.stderr.write('x' * 4096)";
    expect(await resultOf(await python(flood))).toMatchObject({ ending: "output-limit" });
  });

  it("take standard input from the disk", async () => {
    const source =
      "import os, sys\nprint(len(sys.stdin.buffer.read()))\ntry: open('/out/f', 'wb').write(b'x' * (2 << 20))\nexcept OSError as e: print(e.errno)";
    const stdin = "s".repeat(3 * MIB);
    const guest = await start(
      {
        args: ["python", "/app/main.py"],
        ...{
          inputs: [file("app/main.py", source)],
          mounts: [
            { path: "/app", writable: false, keep: false },
            { path: "/out", writable: true, keep: true },
          ],
        },
        ...{ stdin: digest(stdin), diskMibMax: 4 },
      },
      [source, stdin],
    );
    expect(await resultOf(guest)).toMatchObject({ ending: "exit", stdout: `${3 * MIB}\n51\n` });
  });
});

describe("the end of a guest's process", () => {
  it("is the customer's stop, where a module is read for longer than anybody waits", async () => {
    const guest = await module(HOSTILE.slowToRead());
    await guest.stop();
    expect(await guest.ended).toEqual({ kind: "stopped" });
  });

  thoroughly("is known for what it was to a later daemon", async () => {
    const guest = await module(HOSTILE.slowToRead());
    guest.release();
    await guest.stop();
    await rm(path.join(guest.folder, WORKER_FILES.log));
    const found = (await adopt(guest.folder, guest.id, sandbox.limits))!;
    await found.stop();
    expect(await found.ended).toEqual({ kind: "stopped" });
    expect(await (await adopt(guest.folder, guest.id, sandbox.limits))!.ended).toEqual({ kind: "stopped" });
  });

  it("is nobody's where the process broke by itself, and the host's where it was killed", async () => {
    const spinning = '(module (memory (export "memory") 1) (func (export "_start") (loop (br 0))))';
    const ends = await Promise.all(
      (["SIGSEGV", "SIGKILL"] as const).map(async (signal) => {
        const guest = await wat(spinning);
        process.kill(guest.id.pid, signal);
        return guest.ended;
      }),
    );
    expect(ends).toMatchObject([{ kind: "crashed", detail: expect.stringContaining("SIGSEGV") }, { kind: "host-failure" }]);
  });

  it.each([
    ["is no JSON", 1, "JSON"],
    ["is larger than any result", 64 * MIB + 1, "is larger than 67108864 bytes"],
  ])("is nobody's where what it handed in %s", async (what, zeros, why) => {
    const at = path.join(folder, what);
    await mkdir(at);
    const handedIn = path.join(at, "result.json");
    await writeFile(handedIn, "");
    await writeFile(path.join(at, "progress"), Buffer.alloc(2));
    await truncate(handedIn, zeros);
    expect(await (await adopt(at, { pid: 2 ** 30, startTicks: "1" }, sandbox.limits))!.ended).toMatchObject({
      kind: "crashed",
      detail: expect.stringContaining(why),
    });
  });

  it("is read from nothing that leads out of its folder", async () => {
    const [at, host] = [path.join(folder, "linked"), path.join(folder, "of-the-host")];
    await mkdir(at);
    await writeFile(host, '{"secret":"of the host"}');
    for (const name of ["progress", "result.json", "stdout", WORKER_FILES.log, WORKER_FILES.stop]) await symlink(host, path.join(at, name));
    const guest = (await adopt(at, { pid: 2 ** 30, startTicks: "1" }, sandbox.limits))!;
    expect(await guest.ended).toEqual({ kind: "host-failure", detail: "the guest's process was killed" });
    expect(await guest.read("stdout", 0)).toHaveLength(0);
    expect(await readFile(host, "utf8")).toContain("secret");
  });

  it("is nobody's where only its last words are left, and the host's where there are none", async () => {
    const ends = await Promise.all(
      [
        "FATAL ERROR: Reached heap limit Allocation failed - JavaScript heap out of memory\n",
        "#\n# Fatal error in , line 0\n",
        "Error: ENOSPC: no space left on device\n",
      ].map(async (log, i) => {
        const at = path.join(folder, `gone-${i}`);
        await mkdir(at);
        await writeFile(path.join(at, WORKER_FILES.log), log);
        return (await adopt(at, { pid: 2 ** 30, startTicks: "1" }, sandbox.limits))!.ended;
      }),
    );
    expect(ends.map(({ kind }) => kind)).toEqual(["crashed", "crashed", "host-failure"]);
  });
});
