/** Scripts that ask Python on WASI for what it has not: they can catch it as they would elsewhere, and its end says what to do. */
import { execFile } from "node:child_process";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, it } from "vitest";

const XENO = path.resolve("node_modules/.bin/xeno");
let folder: string;
beforeAll(async () => void (folder = await mkdtemp(path.join(tmpdir(), "xeno-lacks-"))));
afterAll(() => rm(folder, { recursive: true, force: true }));

interface Ended {
  code: number;
  stdout: string;
  stderr: string;
}

const run = (...words: string[]): Promise<Ended> =>
  promisify(execFile)(XENO, ["run", "--local", "-q", ...words], { cwd: folder }).then(
    (ended) => ({ ...ended, code: 0 }),
    (error: Ended) => error,
  );

async function ran(source: string): Promise<Ended> {
  await writeFile(path.join(folder, "x.py"), source);
  return run("x.py");
}
const lastLine = ({ stderr }: Ended): string => stderr.trimEnd().split("\n").at(-1)!;

it("has no network in the errors that scripts catch of one, which say how the same is run with one", async () => {
  const asked = [
    ["urllib.request.urlopen('http://example.com/')", "URLError"],
    ["urllib.request.urlopen('https://example.com/')", "URLError"],
    ["http.client.HTTPSConnection('example.com').request('GET', '/')", "gaierror"],
    ["socket.create_connection(('example.com', 80), timeout=3)", "gaierror"],
    ["socket.gethostbyname('example.com')", "gaierror"],
    ["smtplib.SMTP('example.com')", "gaierror"],
    ["xmlrpc.client.ServerProxy('http://example.com').x()", "gaierror"],
    ["asyncio.run(asyncio.open_connection('example.com', 80))", "gaierror"],
  ] as const;
  const source = `import asyncio, email.utils, http.client, smtplib, socket, urllib.request, xmlrpc.client
def tried(ask):
    try: ask()
    except OSError as e: print(type(e).__name__, "xeno run --egress example.com python:3.12 x.py" in str(e))
${asked.map(([ask]) => `tried(lambda: ${ask})`).join("\n")}
try: socket.socket()
except OSError as e: print(e.errno, e.strerror)
print(email.utils.make_msgid().endswith("@localhost>"), socket.gethostname(), socket.getfqdn())
`;
  const { code, stdout, stderr } = await ran(source);
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  expect(stdout.trimEnd().split("\n")).toEqual([
    ...asked.map(([, error]) => `${error} True`),
    "58 no network is in this sandbox: run it in an image that has it (xeno run --egress HOST python:3.12 x.py)",
    "True localhost localhost",
  ]);
});

it.each([
  ["import os\nos.fork()", "no os.fork"],
  ["import os\nos.system('ls')", "no os.system"],
  ["import signal\nsignal.alarm(1)", "no signal.alarm"],
  ["import threading\nthreading.Thread(target=print).start()", "no threads"],
  ["import subprocess\nsubprocess.run(['ls'])", "no processes"],
  ["import asyncio\nasyncio.run(asyncio.create_subprocess_exec('ls'))", "no processes"],
  ["import socket\nsocket.getservbyname('http')", "no socket.getservbyname"],
  ["import shutil\nshutil.disk_usage('/')", "no shutil.disk_usage"],
  ["def f():\n  import multiprocessing\nf()", "no module multiprocessing"],
])("ends with what to do, behind Python's own words: %j", async (source, lacks) => {
  const ended = await ran(source);
  expect(ended.code).toBe(1);
  expect(ended.stderr).toMatch(/^Traceback/);
  expect(lastLine(ended)).toBe(`Python on WASI has ${lacks}: run it in an image that has it (xeno run python:3.12 x.py)`);
});

it("says nothing of what a script catches, of its own mistakes, or of how it ends itself", async () => {
  const caught = await ran("import os\ntry: os.fork()\nexcept AttributeError as e: print(e)\n");
  expect(caught).toMatchObject({ code: 0, stderr: "", stdout: "module 'os' has no attribute 'fork'\n" });
  expect(lastLine(await ran("import os\nos.forc()"))).toBe("AttributeError: module 'os' has no attribute 'forc'");
  expect(await ran("raise SystemExit('over')")).toMatchObject({ code: 1, stderr: "over\n" });
});

it("runs an archive of modules, as any Python: by its name, or said to Python", async () => {
  const make = `import zipapp, os, pathlib
pathlib.Path("/out/app/kit").mkdir(parents=True)
pathlib.Path("/out/app/__main__.py").write_text("import sys, kit\\nprint(__name__, kit.answer(), sys.argv[1:])\\n")
pathlib.Path("/out/app/kit/__init__.py").write_text("import socket\\ndef answer(): return socket.gethostname()\\n")
zipapp.create_archive("/out/app", "/out/tool.pyz", interpreter="/usr/bin/env python3", compressed=True)
`;
  await writeFile(path.join(folder, "make.py"), make);
  expect(await run("--out", path.join(folder, "made"), "make.py")).toMatchObject({ code: 0 });
  const expected = { code: 0, stdout: "__main__ localhost ['a', '-b']\n" };
  expect(await run("made/tool.pyz", "a", "-b")).toMatchObject(expected);
  expect(await run("python3", "made/tool.pyz", "a", "-b")).toMatchObject(expected);
});

it("says before anything is asked for that nothing is installed for a job", async () => {
  expect(lastLine(await run("python3", "-m", "pip", "install", "rich"))).toMatch(
    /-m pip has nothing to install into.*--target packages NAME here/,
  );
  const needs = await ran('# /// script\n# dependencies = ["rich>=13"]\n# ///\ndef f():\n  import rich\n');
  expect(lastLine(needs)).toMatch(/x\.py says that it needs rich>=13 \(PEP 723\).*pip install --target packages 'rich>=13'/);
});

it("is a folder with __main__.py, as python3 runs one, or a script of any name, by its first line or behind python3", async () => {
  await mkdir(path.join(folder, "kit/part"), { recursive: true });
  await writeFile(
    path.join(folder, "kit/__main__.py"),
    "import sys\nfrom part import word\nfrom beside import data\nprint(word, data(), sys.argv[1:])\n",
  );
  await writeFile(path.join(folder, "kit/part/__init__.py"), "word = 'part'\n");
  await writeFile(
    path.join(folder, "kit/beside.py"),
    "import os.path\ndef data():\n    return open(os.path.join(os.path.dirname(__file__), 'data.txt')).read()\n",
  );
  await writeFile(path.join(folder, "kit/data.txt"), "read");
  const said = { code: 0, stdout: "part read ['a', '-b']\n", stderr: "" };
  expect(await run("python3", "kit", "a", "-b")).toEqual(said);
  expect(await run("./kit/", "a", "-b")).toEqual(said);
  await writeFile(path.join(folder, "tool"), "#!/usr/bin/env python3\nimport sys\nprint(sys.argv)\n");
  for (const words of [["./tool"], ["tool"], ["python3", "tool"]])
    expect(await run(...words, "x")).toEqual({ code: 0, stdout: "['/app/tool', 'x']\n", stderr: "" });
});

it("says of what Python had once that it was that, unless it is brought in", async () => {
  const { code, stderr } = await ran("import distutils.core, imp\n");
  expect({ code, stderr }).toEqual({
    code: 125,
    stderr:
      "error: x.py imports distutils, imp, which Python has no more since 3.12: run it in an image of an older one (xeno run python:3.11 x.py)\n",
  });
  await mkdir(path.join(folder, "own"));
  await writeFile(path.join(folder, "own/imp.py"), "print('own')\n");
  await writeFile(path.join(folder, "own/x.py"), "import imp\n");
  expect(await run("--dir", "own", "own/x.py")).toMatchObject({ code: 0, stdout: "own\n" });
});
