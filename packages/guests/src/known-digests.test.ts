/** Which files are not read again, and which are. */
import { createHash } from "node:crypto";
import { mkdtemp, open, readFile, rm, stat, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { KnownDigests } from "./index.ts";

const LARGE = 1024 * 1024;
let folder: string;
let list: string;
let file: string;
beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), "xeno-digests-"));
  [list, file] = [path.join(folder, "kept/digests.json"), path.join(folder, "large")];
  await writeFile(file, Buffer.alloc(LARGE, "a"));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const read = async (at: string): Promise<{ digest: string }> => ({
  digest: createHash("sha256")
    .update(await readFile(at))
    .digest("hex"),
});
/** By a process that finds the file so long after its last change. */
const after = (ms: number): KnownDigests => new KnownDigests(list, () => Date.now() + ms);
const learnt = async (): Promise<string> => (await after(60_000).learn(file, read)).digest;

it("knows a large file for a later process, and not one whose bytes were changed with its times put back", async () => {
  expect(await new KnownDigests(list).find(file)).toBeNull();
  const digest = await learnt();
  expect(await new KnownDigests(list).find(file)).toEqual({ digest, size: LARGE });
  const { atime, mtime } = await stat(file);
  const handle = await open(file, "r+");
  await handle.write("b", 0);
  await handle.close();
  await utimes(file, atime, mtime);
  expect((await stat(file)).mtime).toEqual(mtime);
  expect(await new KnownDigests(list).find(file)).toBeNull();
  expect(await learnt()).not.toBe(digest);
});

it("knows nothing of a file that is changed while it is read, of a small one, and by a damaged list", async () => {
  await learnt();
  await after(60_000).learn(file, async (at) => {
    const came = await read(at);
    await writeFile(file, Buffer.alloc(LARGE, "c"));
    return came;
  });
  expect(await new KnownDigests(list).find(file)).toBeNull();
  await learnt();
  for (const damaged of ["[", "{}", "[null, 3]", JSON.stringify([{ file, state: 1, digest: "x" }])]) {
    await writeFile(list, damaged);
    expect(await new KnownDigests(list).find(file)).toBeNull();
  }
  await writeFile(file, "small");
  await after(60_000).learn(file, read);
  expect(await new KnownDigests(list).find(file)).toBeNull();
});

it("knows nothing of a file that was changed lately: some file systems count times by two seconds", async () => {
  await after(2_000).learn(file, read);
  expect(await new KnownDigests(list).find(file)).toBeNull();
});
