/** Archives into the shell that guests run, and out of it, beside GNU tar. */
import { spawnSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { lstat, mkdir, mkdtemp, readFile, readdir, readlink, rm, symlink, truncate, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { gzipSync, zstdCompressSync } from "node:zlib";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { archiveIn, pathOf } from "./archive-in.ts";
import { archiveOut } from "./archive-out.ts";
import { hasPerl, ShellHere } from "./guest.fixture.ts";

const OPTIONS = { owners: false };
const MIB = 1024 * 1024;
const here = new ShellHere();
let folder: string;
const at = (name: string): string => path.join(folder, name);
beforeEach(async () => void (folder = await mkdtemp(path.join(tmpdir(), "xeno-archives-"))));
afterEach(async () => {
  here.end();
  await rm(folder, { recursive: true, force: true });
});

const tar = (...words: string[]): Buffer => {
  const { stdout, stderr, status } = spawnSync("tar", words, { maxBuffer: 1 << 28 });
  if (status !== 0) throw new Error(stderr.toString());
  return stdout;
};
async function* pieces(bytes: Buffer): AsyncGenerator<Buffer> {
  for (let from = 0; from < bytes.length; from += 10_000) yield bytes.subarray(from, from + 10_000);
}
const into = (bytes: Buffer, to: string): Promise<string[]> => here.withFiles((files) => archiveIn(files, pieces(bytes), to, OPTIONS));
async function outOf(from: string): Promise<{ bytes: Buffer; leftOut: string[] }> {
  const parts: Buffer[] = [];
  const leftOut = await here.withFiles((files) => archiveOut(files, from, async (bytes) => void parts.push(Buffer.from(bytes)), OPTIONS));
  return { bytes: Buffer.concat(parts), leftOut };
}

/** Long names, odd names, links, holes, an empty folder, a file of no bytes. */
async function tree(name: string): Promise<string> {
  const top = at(name);
  await mkdir(path.join(top, "deep", "d".repeat(120), "empty"), { recursive: true });
  await writeFile(path.join(top, "deep", "d".repeat(120), "né\nw"), "line");
  await writeFile(path.join(top, "big"), randomBytes(2 * MIB + 1), { mode: 0o640 });
  await writeFile(path.join(top, "none"), "");
  await writeFile(path.join(top, "-dash"), "x", { mode: 0o4755 });
  await writeFile(path.join(top, "holes"), "begin");
  await truncate(path.join(top, "holes"), 5 * MIB);
  await symlink("t".repeat(200), path.join(top, "link"));
  spawnSync("ln", [path.join(top, "big"), path.join(top, "second")]);
  await utimes(path.join(top, "none"), 1_000_000_000, 1_000_000_000);
  await utimes(path.join(top, "deep"), 1_100_000_000, 1_100_000_000);
  return top;
}
const names = async (of: string): Promise<string[]> => (await readdir(of, { recursive: true })).sort();
async function sameTrees(one: string, other: string): Promise<void> {
  expect(await names(other)).toEqual(await names(one));
  for (const name of await names(one)) {
    const [a, b] = [await lstat(path.join(one, name)), await lstat(path.join(other, name))];
    expect([name, b.mode, b.isDirectory() ? 0 : b.size, b.isSymbolicLink() ? 0 : Math.floor(b.mtimeMs / 1_000)]).toEqual([
      ...[name, a.mode, a.isDirectory() ? 0 : a.size],
      a.isSymbolicLink() ? 0 : Math.floor(a.mtimeMs / 1_000),
    ]);
    if (a.isFile()) expect((await readFile(path.join(other, name))).equals(await readFile(path.join(one, name)))).toBe(true);
    if (a.isSymbolicLink()) expect(await readlink(path.join(other, name))).toBe(await readlink(path.join(one, name)));
  }
}

describe.skipIf(!hasPerl)("archives", () => {
  it("of a folder are what tar unpacks as it is, and hold it under its own name", async () => {
    const from = await tree("from");
    const { bytes, leftOut } = await outOf(from);
    expect(leftOut).toEqual([]);
    await writeFile(at("out.tar"), bytes);
    await mkdir(at("back"));
    tar("-xpf", at("out.tar"), "-C", at("back"));
    await sameTrees(from, at("back/from"));
    await writeFile(at("content.tar"), (await outOf(`${from}/.`)).bytes);
    expect(tar("-tf", at("content.tar")).toString().split("\n").slice(0, 2)).toEqual(["./", "./-dash"]);
    await writeFile(at("one.tar"), (await outOf(path.join(from, "-dash"))).bytes);
    expect(tar("-tf", at("one.tar")).toString()).toBe("-dash\n");
    await expect(outOf(at("nothing"))).rejects.toThrow("No such file");
  });

  it("of a file that holds more than it says are as long as it said, and name it", async () => {
    const { bytes, leftOut } = await outOf("/proc/version");
    expect(leftOut).toEqual(["version: it holds more than it said, and is cut"]);
    await writeFile(at("out.tar"), bytes);
    expect(tar("-tf", at("out.tar")).toString()).toBe("version\n");
  });

  it.each([
    ["of GNU tar", ["--format=gnu"], (bytes: Buffer) => bytes],
    ["of GNU tar, with holes", ["--format=gnu", "-S"], (bytes: Buffer) => bytes],
    ["of pax, with holes", ["--format=pax", "-S"], (bytes: Buffer) => bytes],
    ["packed with gzip", ["--format=pax"], gzipSync],
    ["packed with zstd", ["--format=pax"], zstdCompressSync],
  ])("%s come in as they are, links to one file as one", async (_, words, packed) => {
    const from = await tree("from");
    await mkdir(at("guest"));
    expect(await into(packed(tar(...words, "-c", "-C", folder, "from")), at("guest"))).toEqual([]);
    await sameTrees(from, at("guest/from"));
    const [one, other] = await Promise.all(["big", "second"].map((name) => lstat(at(`guest/from/${name}`))));
    expect(other?.ino).toBe(one?.ino);
  });

  it("leave folders that are there as they are, and make those that they do not name", async () => {
    await mkdir(at("guest/kept"), { recursive: true, mode: 0o755 });
    await writeFile(at("guest/kept/old"), "old");
    await mkdir(at("src/kept"), { recursive: true });
    await mkdir(at("src/a/b"), { recursive: true });
    await writeFile(at("src/kept/new"), "new");
    await writeFile(at("src/a/b/c"), "c");
    spawnSync("chmod", ["700", at("src/kept")]);
    expect(await into(tar("-c", "-C", at("src"), "kept", "a/b/c"), at("guest"))).toEqual([]);
    expect([(await lstat(at("guest/kept"))).mode & 0o777, await names(at("guest"))]).toEqual([
      0o755,
      ["a", "a/b", "a/b/c", "kept", "kept/new", "kept/old"],
    ]);
  });

  it("leave out by name what means nothing elsewhere or leads outside", async () => {
    await mkdir(at("odd"));
    await mkdir(at("guest"));
    spawnSync("mkfifo", [at("odd/fifo")]);
    await writeFile(at("odd/one"), "1");
    await writeFile(at("up"), "up");
    const bytes = tar("-P", "-c", "-C", at("odd"), ".", "../up");
    expect((await into(bytes, at("guest"))).sort()).toEqual([
      "../up: it leads outside of the folder",
      "./fifo: it is no file, folder or link",
    ]);
    expect(await names(at("guest"))).toEqual(["one"]);
    expect((await outOf(at("odd"))).leftOut.map((each) => each.split(": ")[1])).toEqual(["it is no file, folder or link"]);
  });

  it.each([
    ["nothing", () => Buffer.alloc(0), /nothing is piped in/],
    ["no archive", () => randomBytes(5_000), /is no tar archive/],
    ["one that is cut off", () => tar("-c", "-C", "/etc", "passwd").subarray(0, 700), /is no tar archive \(it is cut off\)/],
    ["one whose packing is cut off", () => gzipSync(tar("-c", "-C", "/etc", "passwd")).subarray(0, 200), /is no tar archive/],
  ])("are none where %s is piped in, in words, and nothing is left here", async (_, bytes, said) => {
    await mkdir(at("guest"));
    await expect(into(bytes(), at("guest"))).rejects.toThrow(said);
    expect(await names(at("guest"))).toEqual([]);
  });

  it("want a folder that is there", async () => {
    await expect(into(tar("-c", "-C", "/etc", "passwd"), at("no"))).rejects.toThrow("is no folder in the guest");
  });
});

it.each([
  ["a//b/./c/", "a/b/c"],
  ["/etc/x", "etc/x"],
  ["./", ""],
  ["a/../b", null],
  ["..", null],
])("the name %s is the path %s", (name, below) => expect(pathOf(name)).toBe(below));
