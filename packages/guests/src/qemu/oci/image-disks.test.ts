/** Images that are refused before anything is built of them: by which layer, by which bound, in words. */
import { mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { gzipSync, zstdCompressSync } from "node:zlib";
import { afterAll, beforeAll, expect, it } from "vitest";
import { headerOf, paxOf } from "@xenoservers/testkit";
import { Refusal } from "../refusal.ts";
import { imageDisks } from "./image-disks.ts";

const MIB = 1024 * 1024;
const END = Buffer.alloc(1024);
const GOOD = Buffer.concat([headerOf("file", "0", 5, "hello"), END]);

let folder = "";
beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), "xeno-image-"));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

let last = 0;
async function refusal(bytesMax: number, ...layers: Buffer[]): Promise<string> {
  const own = path.join(folder, String(++last));
  const files = layers.map((_, i) => `${own}.layer${i}`);
  for (const [i, file] of files.entries()) await writeFile(file, layers[i] ?? "");
  const error: unknown = await imageDisks(
    {
      layers: files.map((file, i) => ({ digest: `${last}${i}`.padEnd(64, "a"), file })),
      ...{ bytesMax, entriesMax: 1_000, textBytesMax: 100_000, work: `${own}.work` },
      take: async () => {},
    },
    { folder: `${own}.cache`, bytesMax: 100 * MIB },
  ).then(
    () => null,
    (thrown: unknown) => thrown,
  );
  // nothing of it stays
  expect((await readdir(folder)).filter((name) => name === `${last}.work`)).toEqual([]);
  return error instanceof Refusal ? `${error.fault}: ${error.message}` : `not refused: ${String(error)}`;
}

it.each([
  ["gzip", gzipSync],
  ["zstd", zstdCompressSync],
] as const)("a small layer of %s that unpacks to more than the disk is stopped at the disk's size", async (_, pack) => {
  const bomb = pack(Buffer.alloc(8 * MIB));
  expect(bomb.length).toBeLessThan(10 * 1024);
  expect(await refusal(2 * MIB, GOOD, bomb)).toMatch(/^limits: the image unpacks to more than 2 MiB.*\(layer 2 of 2, sha256:[0-9a]{12}\)$/);
});

it("an image's names and attributes have a bound together, for they are held in memory", async () => {
  const entry = Buffer.concat([paxOf(["SCHILY.xattr.user.a", "x".repeat(10_000)]), headerOf("file", "0", 0)]);
  const layer = Buffer.concat([...Array.from({ length: 6 }, () => entry), END]);
  expect(await refusal(16 * MIB, layer, layer)).toMatch(/^bytes: the names, links and attributes.* than 100000 bytes \(layer 2 of 2/);
});

it("a damaged layer is said by its number and digest", async () => {
  expect(await refusal(16 * MIB, GOOD, GOOD.subarray(0, 512), GOOD)).toMatch(/^bytes: a layer is damaged: it is cut off \(layer 2 of 3/);
});

it("a zstd window that is larger than any program's is not given", async () => {
  // a frame that asks for 2 GiB: magic, a header without size, window descriptor 2^31, one empty last block
  expect(await refusal(16 * MIB, Buffer.from("28b52ffd00a8010000", "hex"))).toMatch(
    /^bytes: a layer is damaged: zstd says .*\(layer 1 of 1/,
  );
});
