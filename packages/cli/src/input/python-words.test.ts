import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { pythonWords } from "./python-words.ts";

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), "xeno-python-"));
  await writeFile(path.join(folder, "x.py"), "");
  await writeFile(path.join(folder, "tool"), "");
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const read = (words: string) => {
  const [file = "", ...args] = words.split(" ").map((word) => word.replace("HERE", folder));
  return pythonWords({ file, args });
};

it.each([
  ["python3 -c print(1) a -b", { script: { source: "print(1)\n" }, args: ["a", "-b"], env: [] }],
  ["python3 -cprint(1)", { script: { source: "print(1)\n" } }],
  ["python -m json.tool --sort-keys", { script: { source: expect.stringContaining('run_module("json.tool"') }, args: ["--sort-keys"] }],
  ["python3.12 -um timeit", { script: { source: expect.stringContaining('"timeit"') }, env: [["PYTHONUNBUFFERED", "1"]] }],
  ["python3 - a", { script: "stdin", options: ["-"], args: ["a"] }],
  ["python3", { script: "stdin", options: [], args: [] }],
  ["python -u -", { script: "stdin", options: ["-u", "-"] }],
  ["python3 -V", { script: { source: "" }, options: ["-V"], unsaid: "-V" }],
  ["python3 -IX jit HERE/x.py", { options: ["-IX", "jit"], unsaid: "-I" }],
])("%s is read as CPython reads it", async (words, meant) => expect(await read(words)).toMatchObject(meant));

it("says the interpreter's options as variables that say the same", async () => {
  expect(await read("python3 -BOOuW error -Wignore -X dev -Xutf8=0 HERE/x.py -u")).toEqual({
    options: ["-BOOuW", "error", "-Wignore", "-X", "dev", "-Xutf8=0"],
    unsaid: null,
    script: { file: path.join(folder, "x.py"), kind: "script" },
    args: ["-u"],
    env: [
      ["PYTHONUNBUFFERED", "1"],
      ["PYTHONDEVMODE", "1"],
      ["PYTHONUTF8", "0"],
      ["PYTHONOPTIMIZE", "2"],
      ["PYTHONWARNINGS", "error,ignore"],
    ],
  });
});

it.each(["python", "python ls", "python:3.12 -c x", "ruby -e 1", "toString -c"])("leaves an image's words alone: %s", async (words) =>
  expect(await read(words)).toBeNull(),
);

it.each([
  ["python3 -c", /-c: its value is missing/],
  ["python3 -W", /-W: its value is missing/],
  ["python3 HERE/none.py", /there is no file .*none\.py here; python3 runs -c CODE/],
  ["python3 HERE", /there is no file/],
  ["python3 -i", /-i cannot be said here: it runs .*; its options are -B/],
])("says what cannot be had of %s", async (words, said) => {
  await expect(read(words)).rejects.toThrow(said);
});
