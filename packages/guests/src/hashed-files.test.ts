import { createHash, randomBytes } from "node:crypto";
import { appendFile, mkdir, mkdtemp, open, readFile, rename, rm, stat, truncate, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { HashedFiles } from "./hashed-files.ts";

const MIB = 1024 * 1024;
const HOUR = 3_600_000;

let folder: string;
let file: string;
let nowMs: number;
let files: HashedFiles;

beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), "xeno-hashed-"));
  file = path.join(folder, "file");
  await writeFile(file, randomBytes(2 * MIB));
  nowMs = 0;
  files = new HashedFiles(() => nowMs);
});
afterEach(() => rm(folder, { recursive: true }));

const named = (name: string): string => path.join(folder, name);
const sha256 = async (of = file): Promise<string> =>
  createHash("sha256")
    .update(await readFile(of))
    .digest("hex");

/** How many bytes of files were read meanwhile. */
async function bytesRead(call: () => Promise<unknown>): Promise<number> {
  const handle = await open(file, "r");
  const reads = vi.spyOn(Object.getPrototypeOf(handle) as typeof handle, "read");
  try {
    await call();
    const read = await Promise.all(reads.mock.results.map(async ({ value }) => ((await value) as { bytesRead: number }).bytesRead));
    return read.reduce((sum, each) => sum + each, 0);
  } finally {
    reads.mockRestore();
    await handle.close();
  }
}

/** Whatever the clock of this file system's times is: it has gone on since. */
async function changed(change: () => Promise<void>): Promise<void> {
  const before = await stat(file, { bigint: true });
  do await change();
  while ((await stat(file, { bigint: true })).ctimeNs === before.ctimeNs);
}

async function overwritten(at: number): Promise<void> {
  const handle = await open(file, "r+");
  await handle.write(randomBytes(32), 0, 32, at);
  await handle.close();
}

it("reads a file once, whatever names it has got and lost since", async () => {
  const digest = await sha256();
  expect(await bytesRead(() => files.digestOf(file))).toBe(2 * MIB);
  await mkdir(named("lease"));
  await files.link(file, named("lease/blob"));
  await Promise.all(["a", "b", "c"].map((name) => files.link(named("lease/blob"), named(name))));
  await files.leave(named("lease"));
  expect(await bytesRead(async () => expect(await files.digestOf(named("b"))).toBe(digest))).toBe(0);
});

it("does not read what this program hashed as it wrote it", async () => {
  const handle = await open(named("new"), "wx");
  const bytes = randomBytes(MIB);
  await handle.write(bytes);
  const digest = createHash("sha256").update(bytes).digest("hex");
  await files.written(handle, digest);
  await handle.close();
  expect(await bytesRead(async () => expect(await files.digestOf(named("new"))).toBe(digest))).toBe(0);
});

const changes: [string, () => Promise<void>][] = [
  ["written to", () => overwritten(MIB)],
  [
    "written to, and its times put back",
    async () => {
      const { atime, mtime } = await stat(file);
      await overwritten(MIB);
      await utimes(file, atime, mtime);
    },
  ],
  ["longer", () => appendFile(file, "x")],
  ["cut off", () => truncate(file, MIB)],
  [
    "another one of this size and age in its place",
    async () => {
      const { atime, mtime } = await stat(file);
      await writeFile(named("other"), randomBytes(2 * MIB));
      await utimes(named("other"), atime, mtime);
      await rename(named("other"), file);
    },
  ],
];
it.each(changes)("reads it again where it is %s", async (_, change) => {
  const before = await files.digestOf(file);
  await changed(change);
  expect(await files.digestOf(file)).toBe(await sha256());
  expect(await files.digestOf(file)).not.toBe(before);
});

it.each(changes.slice(0, 2))("sees that it was %s before it got a name here, and before it lost one", async (_, change) => {
  await files.digestOf(file);
  await changed(change);
  await files.link(file, named("second"));
  expect(await files.digestOf(named("second"))).toBe(await sha256());
  await changed(() => overwritten(3));
  await mkdir(named("lease"));
  await files.link(file, named("lease/blob"));
  await files.leave(named("lease"));
  expect(await files.digestOf(file)).toBe(await sha256());
});

it("reads it again an hour after it was read last, whatever was done with it meanwhile, and as a later process", async () => {
  const reads = (): Promise<number> => bytesRead(() => files.digestOf(file));
  await files.digestOf(file);
  nowMs = HOUR - 1;
  await files.link(file, named("second"));
  expect(await reads()).toBe(0);
  nowMs = HOUR;
  expect(await reads()).toBe(2 * MIB);
  expect(await bytesRead(() => new HashedFiles(() => nowMs).digestOf(file))).toBe(2 * MIB);
});

it("has the digest of a little file from its bytes, and no word for one that is not there", async () => {
  await writeFile(file, "little");
  await files.digestOf(file);
  expect(await bytesRead(() => files.digestOf(file))).toBe(6);
  await expect(files.digestOf(named("none"))).rejects.toThrow("ENOENT");
  await expect(files.link(named("none"), named("second"))).rejects.toThrow("ENOENT");
  await files.leave(named("none"));
});

it("leaves nothing of a name that could not be given, and goes on", async () => {
  await files.digestOf(file);
  await writeFile(named("taken"), "");
  await expect(files.link(file, named("taken"))).rejects.toThrow("EEXIST");
  await files.link(file, named("free"));
  expect(await bytesRead(() => files.digestOf(named("free")))).toBe(0);
});
