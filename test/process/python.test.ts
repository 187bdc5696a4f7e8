/** Scripts as people have them: asyncio, executors and time zones run on Python for WASI, and what it can import is what we say. */
import { execFile, spawn } from "node:child_process";
import { pbkdf2Sync } from "node:crypto";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, it } from "vitest";
import { PYTHON_MODULES } from "../../packages/sdk/src/python-script.ts";
import { thoroughly } from "../thorough.ts";

const XENO = path.resolve("node_modules/.bin/xeno");
let folder: string;
beforeAll(async () => void (folder = await mkdtemp(path.join(tmpdir(), "xeno-python-"))));
afterAll(() => rm(folder, { recursive: true, force: true }));

async function printed(source: string): Promise<string> {
  await writeFile(path.join(folder, "x.py"), source);
  return (await promisify(execFile)(XENO, ["run", "--local", "-q", "x.py"], { cwd: folder })).stdout;
}

it("is no terminal, wherever it runs: a question is on standard output, as in any pipe", async () => {
  const source = "import sys\nprint(sys.stdin.isatty(), sys.stdout.isatty(), sys.stderr.isatty())\nprint(repr(input('? ')))\n";
  await writeFile(path.join(folder, "x.py"), source);
  const running = promisify(execFile)(XENO, ["run", "--local", "-q", "-i", "x.py"], { cwd: folder });
  running.child.stdin?.end("typed\n");
  expect((await running).stdout).toBe("False False False\n? 'typed'\n");
});

it("runs a module that lies where it is typed, and a script that is piped in, as any Python", async () => {
  const work = await mkdtemp(path.join(folder, "typed-"));
  await mkdir(path.join(work, "kit"));
  await writeFile(path.join(work, "kit/__init__.py"), "from .parts import answer\n");
  await writeFile(path.join(work, "kit/parts.py"), "def answer(): return 42\n");
  await writeFile(
    path.join(work, "kit/__main__.py"),
    "import sys\nfrom . import answer\nprint(__package__, answer(), __debug__, sys.argv[1:])\n",
  );
  const run = async (words: string, script = ""): Promise<string> => {
    const running = promisify(execFile)(XENO, ["run", "--local", "-q", "--dir", ".", ...words.split(" ")], { cwd: work });
    running.child.stdin?.end(script);
    return (await running).stdout;
  };
  expect(await run("python3 -O -m kit a -b")).toBe("kit 42 False ['a', '-b']\n");
  expect(await run("python3 - a", "import kit, sys\nprint(kit.answer(), sys.argv[1:], repr(sys.stdin.read()))\n")).toBe("42 ['a'] ''\n");
  // as any Python has it of a script that it reads itself
  const says = "import sys\nprint(sys.argv, sys.path[0] == '', globals().get('__file__'))\ndef f():\n  1/0\n";
  expect(await run("python3 - x", says)).toBe("['-', 'x'] True <stdin>\n");
  expect(await run("python3", says)).toBe("[''] True <stdin>\n");
  await expect(run("python3 -", `${says}f()\n`)).rejects.toThrow(
    /File "<stdin>", line 5, in <module>\n {2}File "<stdin>", line 4, in f\nZeroDivisionError/,
  );
  await expect(run("python3 -m nowhere")).rejects.toThrow(/: python3 -m nowhere imports nowhere, which Python on WASI has not/);
  await expect(run("python3 -", "import nowhere")).rejects.toThrow(/: python3 - imports nowhere, which/);
});

it("makes and lists archives by its own module, without a word of how that is made", async () => {
  const work = await mkdtemp(path.join(folder, "archive-"));
  await writeFile(path.join(work, "a.txt"), "x".repeat(30));
  const run = (...words: string[]) =>
    promisify(execFile)(XENO, ["run", "--local", "-q", "--dir", ".", "python3", "-m", "zipfile", ...words], { cwd: work });
  expect(await run("-c", "a.zip", "a.txt")).toEqual({ stdout: "", stderr: "" });
  const { stdout, stderr } = await run("-l", "a.zip");
  expect(stdout).toMatch(/a\.txt .* 30\n$/);
  expect(stderr).toBe("");
});

it("is told of a pipe that it is no terminal, where it asks how wide that is", async () => {
  const source =
    "import os, shutil\ntry: os.get_terminal_size()\nexcept OSError as e: print(e.strerror, shutil.get_terminal_size().columns)\n";
  expect(await printed(source)).toBe("Not a tty 80\n");
});

it("shows a line when it is printed, not when the script ends", async () => {
  await writeFile(path.join(folder, "x.py"), "print('first')\nwhile True: pass\n");
  const child = spawn(XENO, ["run", "--local", "-q", "x.py"], { cwd: folder, stdio: ["ignore", "pipe", "ignore"] });
  const [line] = (await once(child.stdout, "data")) as [Buffer];
  expect(line.toString()).toBe("first\n");
  child.kill();
  await once(child, "exit");
});

it("knows where it is after .. and through a link, also when what it came by is gone; an error names what was given", async () => {
  const source = `import os, shutil
os.makedirs("d/e")
os.symlink("d/e", "l")
os.chdir("l"); print(os.getcwd())
os.chdir(".."); print(os.getcwd())
os.chdir(".."); print(os.getcwd())
shutil.rmtree("d"); print(os.listdir("."))
try: os.chdir("d/../nowhere")
except FileNotFoundError as error: print(error.filename)
`;
  await mkdir(path.join(folder, "work"), { recursive: true });
  await writeFile(path.join(folder, "x.py"), source);
  const { stdout } = await promisify(execFile)(XENO, ["run", "--local", "-q", "--dir", "work::/", "x.py"], { cwd: folder });
  expect(stdout.split("\n")).toEqual(["/d/e", "/d", "/", "['l']", "d/../nowhere", ""]);
});

/** A script that lies in a folder of its own, beside what it imports. */
async function packaged(): Promise<string> {
  const tools = path.join(folder, "my tools");
  await mkdir(path.join(tools, "kit"), { recursive: true });
  await writeFile(path.join(tools, "main.py"), "import kit, helper\nprint(kit.answer(), helper.name, open('given.txt').read())\n");
  await writeFile(path.join(tools, "kit/__init__.py"), "from .parts import answer\n");
  await writeFile(path.join(tools, "kit/parts.py"), "def answer(): return 42\n");
  await writeFile(path.join(tools, "helper.py"), "name = __name__\n");
  await writeFile(path.join(tools, "given.txt"), "here");
  return tools;
}

thoroughly("imports what lies beside it where its folder is brought in, wherever that is", async () => {
  const tools = await packaged();
  const run = (cwd: string, ...words: string[]) => promisify(execFile)(XENO, ["run", "--local", "-q", ...words], { cwd });
  expect((await run(tools, "--dir", ".", "main.py")).stdout).toBe("42 helper here\n");
  // as it is told to
  const refused = await run(folder, "my tools/main.py").catch((error: { stderr: string }) => error);
  expect(refused.stderr).toBe(
    "error: my tools/main.py imports kit, helper, which lie beside it: bring that folder in with --dir 'my tools::/'\n",
  );
  expect((await run(folder, "--dir", "my tools::/", "my tools/main.py")).stdout).toBe("42 helper here\n");
  await writeFile(path.join(folder, "given.txt"), "above");
  expect((await run(folder, "--dir", ".", "my tools/main.py")).stdout).toBe("42 helper above\n");
  await writeFile(path.join(tools, "main.py"), "import kit\nprint(kit.answer())\n");
  expect((await run(tools, "--dir", `${tools}::/data`, "main.py")).stdout).toBe("42\n");
  // what is typed stands before it
  await mkdir(path.join(tools, "other/kit"), { recursive: true });
  await writeFile(path.join(tools, "other/kit/__init__.py"), "def answer(): return 'other'\n");
  expect((await run(tools, "--dir", ".", "-e", "PYTHONPATH=/other", "main.py")).stdout).toBe("other\n");
});

it("runs an event loop and executors in one thread", async () => {
  const source = `
import asyncio, time
from concurrent.futures import ThreadPoolExecutor, as_completed

async def after(n):
    await asyncio.sleep(n / 10)
    return n

async def main():
    begun = time.monotonic()
    got = await asyncio.gather(*(after(n) for n in range(5)))
    queue = asyncio.Queue()
    async def put():
        for n in range(3):
            await queue.put(n)
            await asyncio.sleep(0)
    async def get():
        return [await queue.get() for _ in range(3)]
    _, taken = await asyncio.gather(put(), get())
    try:
        await asyncio.wait_for(asyncio.sleep(5), 0.2)
    except TimeoutError:
        taken.append("timeout")
    async with asyncio.TaskGroup() as group:
        task = group.create_task(after(1))
    return got, taken, task.result(), await asyncio.to_thread(sum, [3, 4]), round(time.monotonic() - begun, 1)

print(*asyncio.run(main()))
with ThreadPoolExecutor(4) as pool:
    print(list(pool.map(lambda x: x * x, range(4))))
    print([str(f.exception() or f.result()) for f in as_completed([pool.submit(divmod, 7, n) for n in (2,)])])
    print(type(pool.submit(divmod, 1, 0).exception()).__name__)
async def forever():
    await asyncio.Future()
try:
    asyncio.run(forever())
except RuntimeError as error:
    print(error)
`;
  expect((await printed(source)).split("\n")).toEqual([
    "[0, 1, 2, 3, 4] [0, 1, 2, 'timeout'] 1 7 0.7",
    "[0, 1, 4, 9]",
    "['(3, 1)']",
    "ZeroDivisionError",
    "asyncio waits for what cannot come: there are no sockets, threads or subprocesses here",
    "",
  ]);
});

it("makes keys of passwords, as OpenSSL does elsewhere", async () => {
  const cases: readonly (readonly [digest: string, password: string, salt: string, iterations: number, length: number])[] = [
    ["sha256", "password", "salt", 1_000, 32],
    ["sha512", "p".repeat(300), "s", 3, 100],
    ["sha1", "", "salt", 2, 7],
  ];
  const calls = cases.map(([digest, password, salt, ...numbers]) => `("${digest}", b"${password}", b"${salt}", ${numbers.join(", ")})`);
  const source = `
import hashlib
for args in (${calls.join(", ")}):
    print(hashlib.pbkdf2_hmac(*args).hex())
try:
    hashlib.pbkdf2_hmac("sha256", b"", b"", 0)
except ValueError as error:
    print(error)
`;
  const expected = cases.map(([digest, password, salt, iterations, length]) =>
    pbkdf2Sync(password, salt, iterations, length, digest).toString("hex"),
  );
  expect((await printed(source)).trim().split("\n")).toEqual([...expected, "iteration value must be greater than 0."]);
});

const HAS_ZONES = existsSync("/usr/share/zoneinfo/Europe/Paris");
if (!HAS_ZONES) console.warn("SKIPPED: this machine has no time zones to bring in");
it.skipIf(!HAS_ZONES)("has the time zones of the machine that it is sent from", async () => {
  const source = `
from datetime import datetime
from zoneinfo import ZoneInfo
print(datetime(2026, 7, 1, 12, tzinfo=ZoneInfo("Europe/Paris")).utcoffset(), ZoneInfo("UTC").key)
`;
  expect(await printed(source)).toBe("2:00:00 UTC\n");
});

it("imports what it is said to, and nothing else of the standard library", async () => {
  const source = `
import importlib, io, contextlib, sys
able = []
for name in sorted(sys.stdlib_module_names):
    if name.startswith("_") or name in ("antigravity", "idlelib"):
        continue
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            importlib.import_module(name)
        able.append(name)
    except ImportError:
        pass
print(*able)
`;
  expect(new Set((await printed(source)).trim().split(" "))).toEqual(PYTHON_MODULES);
});
