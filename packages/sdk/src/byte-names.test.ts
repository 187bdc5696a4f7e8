import fc from "fast-check";
import { expect, it } from "vitest";
import { bytesOfName, nameBytes, nameOf } from "./byte-names.ts";

const bytes = (...of: number[]): Uint8Array => Uint8Array.of(...of);

it.each([
  ["text as it is, a mark at its beginning included", bytes(0xef, 0xbb, 0xbf, 0xc3, 0xa9, 0xf0, 0x9f, 0x98, 0x80), "\ufeffé😀"],
  ["a byte alone", bytes(0x62, 0xff), "b\udcff"],
  ["letters cut short", bytes(0xe2, 0x82, 0x2f, 0xc3), "\udce2\udc82/\udcc3"],
  ["letters written too long", bytes(0xc0, 0xaf, 0xe0, 0x80, 0xaf), "\udcc0\udcaf\udce0\udc80\udcaf"],
  [
    "a surrogate, and what is beyond Unicode",
    bytes(0xed, 0xb3, 0xbf, 0xf4, 0x90, 0x80, 0x80),
    "\udced\udcb3\udcbf\udcf4\udc90\udc80\udc80",
  ],
  ["letters between", bytes(0xff, 0xc3, 0xa9, 0xfe, 0x61), "\udcffé\udcfea"],
])("has %s", (_, from, name) => {
  expect(nameOf(from)).toBe(name);
  expect(Buffer.from(bytesOfName(name)).equals(from)).toBe(true);
  expect(nameBytes(name)).toBe(from.length);
});

it("comes back as the bytes that it was, and no two are one", () => {
  // bytes that begin letters and go on with them more often than chance has it
  const piece = fc.oneof(
    fc.uint8Array({ maxLength: 4 }),
    fc.string({ unit: "binary", maxLength: 3 }).map((text) => Buffer.from(text)),
  );
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 8 }), (pieces) => {
      const from = Buffer.concat(pieces);
      const name = nameOf(from);
      expect(Buffer.from(bytesOfName(name)).equals(from)).toBe(true);
      expect(nameBytes(name)).toBe(from.length);
      expect(name.includes("/")).toBe(from.includes(0x2f));
    }),
  );
});

it("gives what stands for no byte as text has it everywhere", () => {
  expect(Buffer.from(bytesOfName("a\ud800\udcff\udfff")).toString()).toBe("a\u{100ff}\ufffd");
  expect(Buffer.from(bytesOfName("\udc7f")).toString()).toBe("\ufffd");
});
