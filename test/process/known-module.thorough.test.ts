/** A large module that ran here before: what its later runs take, and that they do what its first did. */
import { execFile } from "node:child_process";
import { mkdtemp, readdir, rm, stat, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { promisify } from "node:util";
import wabtInit from "wabt";
import { afterAll, beforeAll, expect, it } from "vitest";

const XENO = path.resolve("node_modules/.bin/xeno");
let folder: string;
let module: string;
beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), "xeno-known-"));
  module = path.join(folder, "large.wasm");
});
afterAll(() => rm(folder, { recursive: true, force: true }));

/** Of more than 2 MiB, which it does not use; says the word, of five letters. */
async function saying(word: string): Promise<Uint8Array> {
  const text = `(module
    (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
    (memory (export "memory") 1)
    (data (i32.const 0) "\\08\\00\\00\\00\\06\\00\\00\\00${word}\\0a")
    (data $unused "${"x".repeat(2 * 1024 * 1024)}")
    (func (export "_start") (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 100)))))`;
  return (await wabtInit()).parseWat("large.wat", text, { bulk_memory: true }).toBinary({}).buffer;
}
/** It has what is in that file on its standard input. */
const ran = async (options: string[] = [], stdin = "/dev/null"): Promise<string> => {
  const words = ["-c", 'exec "$@" <"$0"', stdin, XENO, "run", "--local", "-q", ...options, module];
  return (await promisify(execFile)("sh", words, { env: { ...process.env, XENO_HOME: path.join(folder, "home") } })).stdout;
};
const modules = (): string => path.join(folder, "home/data/prepared/modules");

it("does what it did, is taken for no other that lies in its place, and is made ready again where it was let go", async () => {
  await writeFile(module, await saying("first"));
  expect(await ran()).toBe("first\n");
  const made = (await readdir(modules())).toSorted();
  expect(made.map((name) => path.extname(name))).toEqual([".wasm", ".code"]);
  const { ino } = await stat(path.join(modules(), made[0]!));
  expect(await ran()).toBe("first\n");
  expect((await stat(path.join(modules(), made[0]!))).ino).toBe(ino);
  const { atime, mtime } = await stat(module);
  await writeFile(module, await saying("other"));
  await utimes(module, atime, mtime);
  expect(await ran()).toBe("other\n");
  await rm(modules(), { recursive: true });
  expect(await ran()).toBe("other\n");
});

it("is read by its guest where it is an input, too: in a folder that is shared, and as standard input", async () => {
  await writeFile(module, await saying("first"));
  for (let run = 0; run < 3; run++) {
    expect(await ran(["--dir", folder])).toBe("first\n");
    expect(await ran([], module)).toBe("first\n");
  }
});
