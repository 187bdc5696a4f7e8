import { Readable, Writable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { gzipSync, zstdCompressSync } from "node:zlib";
import fc from "fast-check";
import { expect, it } from "vitest";
import { isDamage, packingOf, unpackers } from "./unpack.ts";

const SKIPPED = Buffer.concat([Buffer.from("502a4d1805000000", "hex"), Buffer.from("notes")]);

/** In pieces of that many bytes, as they may come from a disk. */
async function unpacked(bytes: Buffer, size: number): Promise<Buffer> {
  const found = packingOf(bytes);
  const through = found.ok ? unpackers(found.packing) : null;
  if (!through) throw new Error("not unpacked here");
  const pieces = Array.from({ length: Math.ceil(bytes.length / size) }, (_, i) => bytes.subarray(i * size, (i + 1) * size));
  const parts: Buffer[] = [];
  const taken = new Writable({
    write(part: Buffer, _, done) {
      parts.push(part);
      done();
    },
  });
  await pipeline([Readable.from(pieces), ...through, taken]);
  return Buffer.concat(parts);
}

it("unpacks whatever frames or members a file is made of, and however it comes in pieces", async () => {
  const frame = fc.oneof(
    fc.uint8Array({ maxLength: 3_000 }).map((bytes) => ({ packed: zstdCompressSync(bytes), bytes })),
    fc.nat(200_000).map((length) => ({ packed: zstdCompressSync(Buffer.alloc(length, "text ")), bytes: Buffer.alloc(length, "text ") })),
    fc.constant({ packed: SKIPPED, bytes: Buffer.alloc(0) }),
  );
  const member = fc.uint8Array({ maxLength: 3_000 }).map((bytes) => ({ packed: gzipSync(bytes), bytes }));
  const files = fc.oneof(fc.array(frame, { minLength: 1, maxLength: 5 }), fc.array(member, { minLength: 1, maxLength: 5 }));
  await fc.assert(
    fc.asyncProperty(files, fc.integer({ min: 1, max: 5_000 }), async (frames, size) => {
      const whole = Buffer.concat(frames.map(({ packed }) => packed));
      expect(
        (await unpacked(whole, Math.max(size, Math.ceil(whole.length / 200)))).equals(Buffer.concat(frames.map(({ bytes }) => bytes))),
      ).toBe(true);
    }),
    { numRuns: 200, seed: 5 },
  );
});

it("says of damage that it is", async () => {
  const packed = zstdCompressSync(Buffer.from("some text that is packed"));
  for (const bad of [packed.subarray(0, -3), Buffer.concat([packed, Buffer.from("garbage after it")]), gzipSync("text").subarray(0, -4)])
    await expect(unpacked(bad, 1_000).catch((error: unknown) => isDamage(error))).resolves.toBe(true);
  expect(isDamage(new Error("anything else"))).toBe(false);
});

// decompressors in several runtimes took a frame that is cut off for a shorter one, and said nothing
it("says of a file that is cut off that it is damaged, wherever the cut is", async () => {
  const frames = [zstdCompressSync(Buffer.from("the first frame")), zstdCompressSync(Buffer.alloc(200, "ab"))];
  const whole = Buffer.concat(frames);
  const isWholeAt = new Set([frames[0]?.length, whole.length]);
  for (let end = 4; end <= whole.length; end++) {
    const cut = await unpacked(whole.subarray(0, end), 7).then(String, (error: unknown) => (isDamage(error) ? "damage" : error));
    expect([end, cut === "damage"]).toEqual([end, !isWholeAt.has(end)]);
  }
});

it("knows by the first bytes what a layer is packed with, whatever its type says", () => {
  expect(packingOf(Buffer.alloc(0))).toEqual({ ok: true, packing: "none" });
  expect(packingOf(Buffer.from("bin/\0\0"))).toEqual({ ok: true, packing: "none" });
  expect(packingOf(gzipSync(""))).toEqual({ ok: true, packing: "gzip" });
  expect(packingOf(zstdCompressSync(""))).toEqual({ ok: true, packing: "zstd" });
  expect(packingOf(SKIPPED)).toEqual({ ok: true, packing: "zstd" });
  for (const [start, packing] of [
    ["425a6839", "bzip2"],
    ["fd377a585a00", "xz"],
  ] as const)
    expect(packingOf(Buffer.from(start, "hex"))).toEqual({ ok: true, packing });
  expect(packingOf(Buffer.from("504b0304", "hex"))).toMatchObject({ ok: false, why: expect.stringContaining("zip") });
});
