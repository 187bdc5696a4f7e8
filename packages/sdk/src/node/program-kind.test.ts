import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { interpreterIn, programAt, saidKind } from "./program-kind.ts";

let folder: string;
beforeEach(async () => void (folder = await mkdtemp(path.join(tmpdir(), "xeno-kind-"))));
afterEach(() => rm(folder, { recursive: true, force: true }));

it.each([
  ["\0asm\x01\0\0\0", { kind: "module" }],
  ["#!/usr/bin/env python3\nprint(1)\n", { kind: "script" }],
  ["#!/usr/bin/python3.12 -u\r\nprint(1)\n", { kind: "script" }],
  ["#! /opt/pythonic\n", { is: "a script for pythonic" }],
  ["\x7fELF\x02\x01\x01 __main__.py PK\x05\x06", { is: "a program for Linux" }],
  ["\xca\xfe\xba\xbe\0\0\0\x02", { is: "a program for macOS" }],
  ["\xca\xfe\xba\xbe\0\0\0\x41", { is: "neither a module nor a script" }],
  ["plain words", { is: "neither a module nor a script" }],
  ["", { is: "neither a module nor a script" }],
])("tells a file by how it begins: %j", async (text, found) => {
  const file = path.join(folder, "tool");
  await writeFile(file, text, "latin1");
  expect(await programAt(file)).toEqual(found);
});

it.each([
  ["tool.wasm", "module"],
  ["tool.py", "script"],
  ["tool.pyz", "archive"],
])("believes a name that says it: %s", async (name, kind) => {
  await writeFile(path.join(folder, name), "anything");
  expect(await programAt(path.join(folder, name))).toEqual({ kind });
});

/** As CPython 3.11 wrote them: of print(1), by `python3 -m zipapp` without and with `-p`; and an archive that holds not__main__.py. */
const ZIPAPP =
  "UEsDBBQAAAAAAE49gV0GHuE8CQAAAAkAAAALAAAAX19tYWluX18ucHlwcmludCgxKQpQSwECFAMUAAAAAABOPYFdBh7hPAkAAAAJAAAACwAAAAAAAAAAAAAApIEAAAAAX19tYWluX18ucHlQSwUGAAAAAAEAAQA5AAAAMgAAAAAA";
const WITH_FIRST_LINE =
  "IyEvdXNyL2Jpbi9lbnYgcHl0aG9uMwpQSwMEFAAAAAAATj2BXQYe4TwJAAAACQAAAAsAAABfX21haW5fXy5weXByaW50KDEpClBLAQIUAxQAAAAAAE49gV0GHuE8CQAAAAkAAAALAAAAAAAAAAAAAACkgRcAAABfX21haW5fXy5weVBLBQYAAAAAAQABADkAAABJAAAAAAA=";
const ANOTHER =
  "UEsDBBQAAAAAAE89gV0AAAAAAAAAAAAAAAAOAAAAbm90X19tYWluX18ucHlQSwECFAMUAAAAAABPPYFdAAAAAAAAAAAAAAAADgAAAAAAAAAAAAAAgAEAAAAAbm90X19tYWluX18ucHlQSwUGAAAAAAEAAQA8AAAALAAAAAAA";

it.each([
  [ZIPAPP, { kind: "archive" }],
  [WITH_FIRST_LINE, { kind: "archive" }],
  [ANOTHER, { is: "a zip archive without __main__.py" }],
])("knows what python3 -m zipapp makes from another archive", async (base64, found) => {
  const file = path.join(folder, "made");
  await writeFile(file, base64, "base64");
  expect(await programAt(file)).toEqual(found);
});

it("knows a folder that is a program from one that is none, and what is not there", async () => {
  expect(await programAt(folder)).toBeNull();
  await writeFile(path.join(folder, "__main__.py"), "");
  expect(await programAt(folder)).toEqual({ kind: "folder" });
  expect(await programAt(path.join(folder, "gone.py"))).toBeNull();
});

it.each([
  ["#!/bin/sh -e\n", "sh"],
  ["#!/usr/bin/env -S LC_ALL=C deno run\n", "deno"],
  ["#!/usr/bin/env\n", null],
  ["#!\n", null],
  ["# no", null],
])("reads a first line as the kernel and env do: %j", (head, name) => expect(interpreterIn(head)).toBe(name));

it.each([
  ["tool", "\0asm\x01\0\0\0", /^python: .*tool is a WebAssembly module: give it as module$/, "module"],
  ["tool", "#!/usr/bin/env python3\n", "script", /^module: .*tool is Python's: give it as python$/],
  ["tool", "print(1)\n", "script", /^module: .*tool is neither a module nor a script$/],
  ["tool", "#!/bin/sh\n", /^python: .*tool is a script for sh$/, /^module: .*tool is a script for sh$/],
  ["tool", "\x7fELF\x02\x01\x01", /is a program for Linux$/, /is a program for Linux$/],
  ["tool.py", "", "script", /give it as python$/],
])("holds a program of a caller's against what it is said to be: %s %j", async (name, text, asPython, asModule) => {
  const file = path.join(folder, name);
  await writeFile(file, text, "latin1");
  for (const [asked, comes] of [[saidKind({ python: file }), asPython] as const, [saidKind({ module: file }), asModule] as const])
    if (typeof comes === "string") expect(await asked).toBe(comes);
    else await expect(asked).rejects.toThrow(comes);
  expect(await saidKind({ python: path.join(folder, "gone") })).toBeNull();
});
