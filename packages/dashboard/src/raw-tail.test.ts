/** What a terminal is given: all of it while it keeps up, else the end, and never a byte twice. */
import fc from "fast-check";
import { expect, it } from "vitest";
import { RawTail } from "./raw-tail.ts";

const KIB = 1_024;
const joined = (pieces: readonly Uint8Array[]): string => Buffer.concat(pieces).toString("latin1");
const bytesOf = (text: string): Uint8Array => Buffer.from(text, "latin1");

it("gives what came after any place, in order", () => {
  fc.assert(
    fc.property(fc.array(fc.string({ unit: "binary-ascii", maxLength: 20 }), { maxLength: 20 }), fc.nat(), (texts, place) => {
      const tail = new RawTail();
      for (const text of texts) tail.add(bytesOf(text));
      const all = texts.join("");
      const at = place % (all.length + 1);
      const { pieces, begin } = tail.after(at);
      expect([joined(pieces), begin, tail.end]).toEqual([all.slice(at), at, all.length]);
    }),
  );
});

it("holds the end alone, and says where that begins", () => {
  const tail = new RawTail();
  for (let i = 0; i < 100; i++) tail.add(new Uint8Array(10 * KIB).fill(i));
  const { pieces, begin } = tail.after(5);
  const held = pieces.reduce((sum, { length }) => sum + length, 0);
  expect(begin + held).toBe(1_000 * KIB);
  expect(held).toBeGreaterThanOrEqual(256 * KIB);
  expect(held).toBeLessThan(266 * KIB);
  expect(pieces.at(-1)?.at(-1)).toBe(99);
  tail.add(new Uint8Array(2_000 * KIB).fill(7));
  expect(tail.after(0)).toMatchObject({ begin: (3_000 - 256) * KIB });
});

it("begins anew where another server does", () => {
  const tail = new RawTail();
  tail.add(bytesOf("of the first"));
  tail.clear();
  tail.add(bytesOf("of the second"));
  expect([joined(tail.after(0).pieces), tail.beginnings]).toEqual(["of the second", 1]);
});

it("keeps no hold on memory that its giver uses again", () => {
  const tail = new RawTail();
  const given = bytesOf("abc").slice();
  tail.add(given);
  given.fill(0);
  expect(joined(tail.after(0).pieces)).toBe("abc");
});
