/** Copies of files with holes, through the shell that guests run, here on this machine itself. */
import { createHash, randomBytes } from "node:crypto";
import { createReadStream, truncateSync } from "node:fs";
import { lstat, mkdtemp, open, readFile, readdir, rm, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { pipeline } from "node:stream/promises";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { copyIn } from "./copy-in.ts";
import { copyOut } from "./copy-out.ts";
import type { GuestEntry, GuestFiles, SparseSink } from "./files.ts";
import { ShellHere, hasPerl } from "./guest.fixture.ts";
import { keepsHoles } from "./holes-here.ts";

const MIB = 1024 * 1024;

async function digestOf(file: string): Promise<string> {
  const hash = createHash("sha256");
  await pipeline(createReadStream(file), hash);
  return hash.digest("hex");
}

describe.skipIf(!hasPerl)("files", () => {
  let folder: string;
  let here: ShellHere;
  beforeEach(async () => {
    folder = await mkdtemp(path.join(tmpdir(), "xeno-sparse-"));
    here = new ShellHere();
  });
  afterEach(async () => {
    here.end();
    await rm(folder, { recursive: true, force: true });
  });
  const at = (name: string): string => path.join(folder, name);

  it("with holes have them on the other side, and holes are not sent", async () => {
    const [size, bytes] = [64 * MIB, randomBytes(200_000)];
    const handle = await open(at("source"), "w");
    await handle.write(bytes, 0, bytes.length, 20 * MIB);
    await handle.write(bytes, 0, bytes.length, 50 * MIB + 5);
    await handle.truncate(size);
    await handle.close();
    const digest = await digestOf(at("source"));
    const took = async (name: string) => (await lstat(at(name))).blocks * 512;
    expect(await took("source")).toBeLessThan(2 * MIB); // else this file system knows none
    let said = 0;
    const progress = { owners: false, onProgress: (p: { bytes: number }) => void (said = p.bytes) };
    const sent = here.bytes;
    await here.withFiles((files) => copyIn(files, at("source"), at("target"), progress));
    await here.withFiles((files) => copyOut(files, at("target"), at("back"), progress));
    expect(here.bytes - sent).toBeLessThan(4 * MIB);
    expect(said).toBe(size);
    for (const name of ["target", "back"]) {
      expect([(await lstat(at(name))).size, await digestOf(at(name))]).toEqual([size, digest]);
      expect(await took(name)).toBeLessThan(2 * MIB);
    }
  });

  it.each([
    ["with holes alone", 3 * MIB, 0],
    ["with its bytes at its end", 3 * MIB, 3 * MIB - 7],
    ["no shorter than its bytes", 0, 2 * MIB],
  ])("%s are as they were", async (_, size, place) => {
    const handle = await open(at("source"), "w");
    if (place > 0) await handle.write(randomBytes(7), 0, 7, place);
    if (size > 0) await handle.truncate(size);
    await handle.close();
    await here.withFiles((files) => copyIn(files, at("source"), at("target"), { owners: false }));
    await here.withFiles((files) => copyOut(files, at("target"), at("back"), { owners: false }));
    const bytes = await readFile(at("source"));
    expect((await readFile(at("target"))).equals(bytes)).toBe(true);
    expect((await readFile(at("back"))).equals(bytes)).toBe(true);
  });

  it("with holes that were cut off go on where they were", async () => {
    const handle = await open(at("source"), "w");
    for (let i = 1; i <= 24; i++) await handle.write(randomBytes(256 * 1024), 0, 256 * 1024, i * 2 * MIB);
    await handle.close();
    const digest = await digestOf(at("source"));
    const from = async (copy: typeof copyIn | typeof copyOut, source: string, target: string) => {
      const files = await here.open();
      const cut = copy(files, at(source), at(target), { owners: false, onProgress: (p) => void (p.bytes > 30 * MIB && files.close()) });
      await expect(cut).rejects.toThrow();
      expect(await readdir(folder)).not.toContain(target);
      let first = 0;
      await here.withFiles((again) => copy(again, at(source), at(target), { owners: false, onProgress: (p) => void (first ||= p.bytes) }));
      expect(await digestOf(at(target))).toBe(digest);
      return first;
    };
    await from(copyIn, "source", "target");
    expect(await from(copyOut, "target", "back")).toBeGreaterThan(2 * MIB);
    expect((await readdir(folder)).filter((name) => name.startsWith(".xeno-part-"))).toEqual([]);
  });

  it("that are cut off while they are read end where they do then, and not in zeros", async () => {
    const handle = await open(at("source"), "w");
    await handle.write(randomBytes(40 * MIB));
    await handle.truncate(64 * MIB);
    await handle.close();
    // most of it is not read before what came is taken
    const onProgress = ({ bytes }: { bytes: number }): void => void (bytes > 0 && truncateSync(at("source"), 41 * MIB));
    await here.withFiles((files) => copyOut(files, at("source"), at("back"), { owners: false, onProgress }));
    expect([(await lstat(at("back"))).size, await digestOf(at("back"))]).toEqual([41 * MIB, await digestOf(at("source"))]);
  });

  it("whose bytes a guest scatters take no more of the disk than there is room for", async () => {
    const [size, apart] = [64 * MIB, 8 * 1024];
    const entry: GuestEntry = { kind: "file", mode: 0o600, uid: 0, gid: 0, size, mtime: 1, target: "", path: "", isText: true, which: "" };
    let given = 0;
    const hostile = {
      lookBehind: async () => null,
      look: async () => entry,
      can: async () => true,
      async runs(_: string, offset: number, sink: SparseSink): Promise<void> {
        try {
          for (let place = offset; place < size; place += apart, given++) await sink.take(Buffer.of(1), place);
        } finally {
          await sink.end();
        }
      },
    } as unknown as GuestFiles;
    const copy = copyOut(hostile, "/scattered", at("back"), { owners: false, roomOf: async () => MIB });
    await expect(copy).rejects.toThrow("there is no room here for all that the guest gives");
    const [part = ""] = await readdir(folder);
    expect(given).toBeGreaterThan(100);
    expect((await lstat(at(part))).blocks * 512).toBeLessThan(2 * MIB);
  });

  it("come with zeros in place of holes, which are counted, where a hole takes as much as they do", async () => {
    expect(await keepsHoles(folder)).toBe(true); // else this file system knows none
    expect(await readdir(folder)).toEqual([]);
    await writeFile(at("source"), "");
    await truncate(at("source"), 4 * MIB);
    const none = { owners: false, keepsHoles: async () => false };
    const copy = (room: number) =>
      here.withFiles((files) => copyOut(files, at("source"), at("back"), { ...none, roomOf: async () => room }));
    await expect(copy(2 * MIB)).rejects.toThrow("there is no room here");
    await copy(4 * MIB);
    expect((await readFile(at("back"))).equals(Buffer.alloc(4 * MIB))).toBe(true);
  });

  it.each([
    ["with its bytes", 0],
    ["in its last hole", 32 * MIB],
  ])("that are cut short %s while they are copied are as long as what there was of them", async (_, rest) => {
    const bytes = randomBytes(32 * MIB);
    await writeFile(at("source"), bytes);
    await truncate(at("source"), bytes.length + rest);
    let cut: Promise<void> | null = null;
    const onProgress = (p: { bytes: number }): void => void (p.bytes > 0 && (cut ??= truncate(at("source"), rest + MIB)));
    await here.withFiles((files) => copyOut(files, at("source"), at("target"), { owners: false, onProgress }));
    await cut;
    const came = await readFile(at("target"));
    const size = rest + MIB;
    expect(came.length).toBeGreaterThanOrEqual(size);
    expect(came.length).toBeLessThan(bytes.length + rest);
    const had = Buffer.concat([bytes, Buffer.alloc(rest)]);
    expect(came.equals(had.subarray(0, came.length))).toBe(true);
  });

  it("whose guest's shell knows no holes come with zeros in their place", async () => {
    await writeFile(at("source"), "");
    await truncate(at("source"), 2 * MIB);
    await here.withFiles(async (files) => {
      files.can = async () => false;
      await copyIn(files, at("source"), at("target"), { owners: false });
      await copyOut(files, at("target"), at("back"), { owners: false });
    });
    expect((await readFile(at("back"))).equals(Buffer.alloc(2 * MIB))).toBe(true);
  });
});
