/** What a terminal is given: all of it while it keeps up, else the end, and never a byte twice. */
import fc from "fast-check";
import { expect, it } from "vitest";
import { RawTail } from "./raw-tail.ts";

const KIB = 1_024;
const textOf = (bytes: Uint8Array): string => Buffer.from(bytes).toString("latin1");
const bytesOf = (text: string): Uint8Array => Buffer.from(text, "latin1");

it("gives what came after any place, in order", () => {
  fc.assert(
    fc.property(fc.array(fc.string({ unit: "binary-ascii", maxLength: 20 }), { maxLength: 20 }), fc.nat(), (texts, place) => {
      const tail = new RawTail();
      for (const text of texts) tail.add(bytesOf(text));
      const all = texts.join("");
      const at = place % (all.length + 1);
      const { bytes, begin } = tail.after(at);
      expect([textOf(bytes), begin, tail.end]).toEqual([all.slice(at), at, all.length]);
    }),
  );
});

it("holds the end alone, and says where that begins", () => {
  const tail = new RawTail();
  for (let i = 0; i < 100; i++) tail.add(new Uint8Array(10 * KIB).fill(i));
  const { bytes, begin } = tail.after(5);
  expect([begin, bytes.length]).toEqual([(1_000 - 256) * KIB, 256 * KIB]);
  expect([bytes[0], bytes.at(-1)]).toEqual([74, 99]);
  tail.add(new Uint8Array(2_000 * KIB).fill(7));
  expect(tail.after(0)).toMatchObject({ begin: (3_000 - 256) * KIB });
});

it("holds the same end in however small pieces it comes", () => {
  const all = Buffer.alloc(600 * KIB, "0123456789abcdefghijklmnopqrstuvwxyz!");
  const tail = new RawTail();
  for (let at = 0, size = 1; at < all.length; at += size, size = (size * 7) % 1_009) tail.add(all.subarray(at, at + size));
  expect(tail.end).toBe(all.length);
  for (const at of [0, 344 * KIB, 344 * KIB + 1, 512 * KIB - 1, 512 * KIB, all.length - 3]) {
    const { bytes, begin } = tail.after(at);
    expect(begin).toBe(Math.max(at, 344 * KIB));
    expect(Buffer.compare(bytes, all.subarray(begin)), `from ${at}`).toBe(0);
  }
});

it("begins anew where another server does", () => {
  const tail = new RawTail();
  tail.add(bytesOf("of the first"));
  tail.clear();
  tail.add(bytesOf("of the second"));
  expect([textOf(tail.after(0).bytes), tail.beginnings]).toEqual(["of the second", 1]);
});

it("keeps no hold on memory that its giver uses again", () => {
  const tail = new RawTail();
  const given = bytesOf("abc").slice();
  tail.add(given);
  given.fill(0);
  expect(textOf(tail.after(0).bytes)).toBe("abc");
});
