/** By a shell, for Node can hand over no such words itself. */
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

const XENO = path.resolve(import.meta.dirname, "../../bin/xeno.js");
let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), "xeno-not-utf8-"));
  await writeFile(path.join(folder, "job.py"), "import os, sys\nprint(*map(ascii, sys.argv[1:]), ascii(os.environ.get('V')))\n");
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const typed = (words: string) => {
  const env = { ...process.env, XENO_HOME: path.join(folder, "home"), NO_COLOR: "1" };
  const ran = spawnSync("sh", ["-c", `run() { "${process.execPath}" "${XENO}" "$@"; }; ${words}`], { cwd: folder, env, encoding: "utf8" });
  return [ran.status, `${ran.stdout}${ran.stderr}`];
};

describe.skipIf(!existsSync("/proc/self/cmdline"))("what is not UTF-8", () => {
  it.each([
    ["of a program", `run run --local -q job.py "$(printf 'caf\\351')"`, "the word 'caf\\xe9'"],
    ["of a verb that knows no such word", `run "$(printf '\\377')" ps`, "the word '\\xff'"],
    ["of a file", `run cp "$(printf 'a\\200b')" c0ffee:/x`, "the word 'a\\x80b'"],
    ["in a variable", `V="$(printf 'x\\377')" run run --local -q --env V job.py`, "the variable 'V=x\\xff'"],
  ])("is refused in words, not changed: a word %s", (_, words, said) => {
    expect(typed(words)).toEqual([125, expect.stringContaining(`error: ${said} is not UTF-8`)]);
  });

  it("is told from what is, also from the character that stands for it", () => {
    expect(typed(`run run --local -q --env "V=\uFFFD" job.py "é\uFFFD"`)).toEqual([0, "'\\xe9\\ufffd' '\\ufffd'\n"]);
  });
});
