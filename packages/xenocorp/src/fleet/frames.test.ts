import fc from "fast-check";
import { expect, it } from "vitest";
import { FrameReader, frameOf } from "./frames.ts";

const joined = (parts: readonly Uint8Array[]): Uint8Array => Uint8Array.from(parts.flatMap((part) => [...part]));

it("gives back what was sent, in whatever pieces it comes", () => {
  const messages = fc.array(fc.oneof(fc.string(), fc.uint8Array({ maxLength: 300 })), { maxLength: 8 });
  fc.assert(
    fc.property(messages, fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1 }), (sent, sizes) => {
      const bytes = joined(sent.map(frameOf));
      const reader = new FrameReader();
      const got: (string | Uint8Array)[] = [];
      for (let at = 0, i = 0; at < bytes.length; i++) {
        const size = sizes[i % sizes.length] ?? 1;
        got.push(...reader.read(bytes.subarray(at, at + size)));
        at += size;
      }
      expect(got).toEqual(sent);
    }),
  );
});

it.each([
  ["a length beyond the bound", [0x7f, 0xff, 0xff, 0xff, 0]],
  ["a kind that is none", [0, 0, 0, 1, 7, 0]],
  ["text that is none", [0, 0, 0, 1, 1, 0xff]],
])("refuses %s", (_, bytes) => {
  expect(() => [...new FrameReader().read(Uint8Array.from(bytes))]).toThrow("of a broker");
});
