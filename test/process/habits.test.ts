/** What people type out of habit: words behind the program are the program's, a pipe is its input, a file is no image. */
import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { until } from "../until.ts";
import { guestsOf } from "./guests.ts";
import { thoroughly } from "../thorough.ts";

const XENO = path.resolve("node_modules/.bin/xeno");
const SCRIPT = "import sys\nprint(sys.argv[1:], repr(sys.stdin.read()))\n";
let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), "xeno-habits-"));
  await Promise.all([writeFile(path.join(folder, "x.py"), SCRIPT), writeFile(path.join(folder, "s.sh"), "echo hi\n")]);
});
afterAll(() => rm(folder, { recursive: true, force: true }));

/** In a shell, so that pipes and redirections are as people have them. */
const typed = (line: string): Promise<{ code: number; stdout: string; stderr: string }> =>
  new Promise((resolve) =>
    execFile("/bin/sh", ["-c", line.replaceAll("xeno", `'${XENO}'`)], { cwd: folder }, (error, stdout, stderr) =>
      resolve({ code: typeof error?.code === "number" ? error.code : 0, stdout, stderr }),
    ),
  );

it.each([
  ["echo abc | xeno run --local x.py --rounds 20 --version", "['--rounds', '20', '--version'] 'abc\\n'\n"],
  ["xeno run --local -q python3 x.py -- --cpu 3 < s.sh", "['--cpu', '3'] 'echo hi\\n'\n"],
  ["echo abc | xeno run --local --no-stdin x.py one", "['one'] ''\n"],
  // Node takes these for its own wherever they stand, unless it is told where its own words end
  ["xeno run --local -q x.py --x --env-file none < /dev/null", "['--x', '--env-file', 'none'] ''\n"],
  [
    "xeno run --local -q x.py --x --env-file=none --env-file-if-exists=s.sh < /dev/null",
    "['--x', '--env-file=none', '--env-file-if-exists=s.sh'] ''\n",
  ],
])("%s", async (line, expected) => {
  expect(await typed(line)).toMatchObject({ code: 0, stdout: expected });
});

it("has the environment of a file and of this side, what is typed before both", async () => {
  await writeFile(path.join(folder, "e.py"), "import os\nprint([os.environ.get(name) for name in ('A', 'B', 'C', 'D')])\n");
  await writeFile(path.join(folder, "list"), "# of a day\nA=1\nB=two words\n");
  const line = "C=own xeno run --local -q --env-file list -e A=2 -e C -e D e.py < /dev/null";
  expect(await typed(line)).toMatchObject({ code: 0, stdout: "['2', 'two words', 'own', None]\n" });
});

it("looks for no image of the name of a file that is here", async () => {
  const { code, stderr } = await typed("xeno run --dry-run s.sh");
  expect([code, stderr]).toEqual([125, expect.stringContaining("s.sh is a file here") as string]);
  expect(stderr).toContain("xeno run --in . debian:12 /in/s.sh");
});

thoroughly("leaves no process and no folder of a job that is refused, or whose command is ended, before it begins", async () => {
  const temporary = path.join(folder, "temporary");
  await mkdir(temporary);
  // Node keeps its own there
  const left = async (): Promise<string[]> => (await readdir(temporary)).filter((name) => name !== "node-compile-cache");
  const env = { ...process.env, TMPDIR: temporary };
  await writeFile(path.join(folder, "bad.py"), "import numpy\n");
  for (const words of [
    ["--such-an-option", "x.py"],
    ["not-there.py"],
    ["bad.py"],
    ["--mem", "nothing", "x.py"],
    ["--json", "--mem", "1M", "x.py"],
  ]) {
    const child = spawn(XENO, ["run", "--local", ...words], { cwd: folder, env, stdio: "ignore" });
    const [code] = (await once(child, "exit")) as [number | null];
    expect([words, code, await guestsOf(temporary), await left()]).toEqual([words, 125, [], []]);
  }
  const child = spawn(XENO, ["run", "--local", "x.py"], { cwd: folder, env, stdio: ["pipe", "ignore", "ignore"] });
  await until(async () => (await guestsOf(temporary)).length > 0);
  child.kill("SIGTERM");
  await once(child, "exit");
  await until(async () => (await guestsOf(temporary)).length === 0);
  expect(await left()).toEqual([]);
});
