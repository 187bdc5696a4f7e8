import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { programOf } from "./program.ts";
import { pythonWords } from "./python-words.ts";

let folder: string;
beforeEach(async () => void (folder = await mkdtemp(path.join(tmpdir(), "xeno-program-"))));
afterEach(() => rm(folder, { recursive: true, force: true }));

it.each(["image.tar", "image.tgz", "image.tar.zst"])("shows how the image in a file is run: %s", async (name) => {
  const file = path.join(folder, name);
  await writeFile(file, "");
  await expect(programOf({ file, args: [] })).rejects.toThrow(`write --image archive:${file}`);
});

it("takes an archive of Python's for a script, and a folder that is a program", async () => {
  const [archive, tool] = [path.join(folder, "tool.pyz"), path.join(folder, "tool")];
  await writeFile(archive, "");
  await mkdir(tool);
  await expect(pythonWords({ file: "python3", args: [tool] })).rejects.toThrow(/there is no file .*tool here/);
  await writeFile(path.join(tool, "__main__.py"), "");
  expect(await programOf({ file: archive, args: ["a"] })).toEqual({ file: archive, args: ["a"] });
  expect(await programOf({ file: tool, args: ["a"] })).toEqual({ file: tool, args: ["a"], kind: "folder" });
  for (const [file, kind] of [
    [archive, "archive"],
    [tool, "folder"],
  ])
    expect(await pythonWords({ file: "python3", args: [file!, "a"] })).toMatchObject({ script: { file, kind }, args: ["a"] });
});

it.each([
  ["#!/bin/bash\n", /a script for bash: name the image/],
  ["#!/usr/bin/env -S LC_ALL=C node --x\n", /a script for node: /],
  ["\x7fELF", /a program for Linux: /],
  ["MZ", /a program for Windows: /],
  ["\xcf\xfa\xed\xfe", /a program for macOS: /],
  ["", /neither a module nor a script: /],
])("says what a file is that does not run here, and where it could: %j", async (begins, says) => {
  const file = path.join(folder, "tool");
  await writeFile(file, begins, "latin1");
  await expect(programOf({ file, args: [] })).rejects.toThrow(says);
});

it("has Python run any text, as it does, and no module", async () => {
  const file = path.join(folder, "tool");
  await writeFile(file, "print(1)\n");
  expect(await pythonWords({ file: "python3", args: [file] })).toMatchObject({ script: { file, kind: "script" } });
  await writeFile(file, "\0asm\x01\0\0\0");
  await expect(pythonWords({ file: "python3", args: [file] })).rejects.toThrow(/it is a WebAssembly module: xeno run /);
});

it.each(["/data:/data", "./data:/work:ro", "../x:/x"])(
  "names the option for a folder that is brought in as container engines do: %s",
  async (file) => {
    await expect(programOf({ file, args: ["x.py"] })).rejects.toThrow(/is no program: a folder is brought in by --dir \S+::\/\w+$/);
  },
);
