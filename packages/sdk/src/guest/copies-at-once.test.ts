/** Copies out of guests to one folder at once, or one after another that was cut off: no file is made of two. */
import { mkdtemp, readFile, readdir, rm, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { copyOut } from "./copy-out.ts";
import type { GuestFiles } from "./files.ts";
import { ShellHere, hasPerl } from "./guest.fixture.ts";

const here = new ShellHere();
const MIB = 1024 * 1024;
let folder: string;
const at = (name: string): string => path.join(folder, name);
beforeEach(async () => void (folder = await mkdtemp(path.join(tmpdir(), "xeno-at-once-"))));
afterEach(async () => {
  here.end();
  await rm(folder, { recursive: true, force: true });
});

/** As two forks of one guest have it: of one size and time, and not the same. */
async function source(letter: string, size: number): Promise<void> {
  await writeFile(at("source"), Buffer.alloc(size, letter));
  await utimes(at("source"), 1, 1);
}
const cut = async (lease: string, target: string): Promise<void> => {
  const files = await here.open();
  const onProgress = ({ bytes }: { bytes: number }): void => void (bytes > MIB && files.close());
  await expect(copyOut(files, at("source"), at(target), { owners: false, lease, onProgress })).rejects.toThrow();
};

describe.skipIf(!hasPerl)("a copy out of a guest", () => {
  it.each<[string, string, string]>([
    ["of another guest", "other", "target"],
    ["to another name", "one", "another"],
  ])("%s goes on from nothing that was cut off", async (_, lease, target) => {
    await source("1", 8 * MIB);
    await cut("one", "target");
    await source("2", 8 * MIB);
    await here.withFiles((files) => copyOut(files, at("source"), at(target), { owners: false, lease }));
    expect((await readFile(at(target))).equals(Buffer.alloc(8 * MIB, "2"))).toBe(true);
  });

  it.each([100, 200_000, 3 * MIB])(
    "of %d bytes is its own guest's, also where others of that name, size and time come at once",
    async (size) => {
      const of = (files: GuestFiles, letter: string): GuestFiles =>
        new Proxy(files, {
          get(real, name) {
            const found = real[name as "get"] as unknown;
            if (typeof found !== "function") return found;
            if (name !== "get" && name !== "runs") return found.bind(real);
            // whichever bytes lie there are this guest's
            return (file: string, offset: number, sink: Parameters<GuestFiles["get"]>[2]) =>
              real[name as "get"](file, offset, { ...sink, take: (bytes, place) => sink.take(Buffer.alloc(bytes.length, letter), place) });
          },
        });
      await source("0", size);
      const letters = ["a", "b", "c", "d"];
      await Promise.all(
        letters.map(async (letter) => {
          const files = await here.open();
          await copyOut(of(files, letter), at("source"), at(letter), { owners: false, lease: letter });
          files.close();
        }),
      );
      for (const letter of letters) expect((await readFile(at(letter))).equals(Buffer.alloc(size, letter)), letter).toBe(true);
      expect((await readdir(folder)).sort()).toEqual([...letters, "source"]);
    },
  );

  it.each([100, 200_000, 3 * MIB])("of %d bytes to one name, which others take at once, is whole or not there", async (size) => {
    await source("x", size);
    const copies = Array.from({ length: 4 }, async () =>
      here.withFiles((files) => copyOut(files, at("source"), at("target"), { owners: false, lease: "one" })),
    );
    const came = await Promise.allSettled(copies);
    for (const each of came) if (each.status === "rejected") expect(String(each.reason)).toContain("another copy of it has begun");
    const there = await readFile(at("target")).catch(() => null);
    expect(there !== null).toBe(came.some(({ status }) => status === "fulfilled"));
    if (there) expect(there.equals(Buffer.alloc(size, "x"))).toBe(true);
  });
});
