/** Where a domain's state ends is known, however it is cut and whatever is in it. */
import fc from "fast-check";
import { expect, it } from "vitest";
import { savedState } from "./save-stream.fixture.ts";
import { SaveStream } from "./save-stream.ts";

const bodies = fc.array(fc.uint8Array({ maxLength: 40 }), { maxLength: 6 });
const cuts = fc.array(fc.integer({ min: 1, max: 60 }), { minLength: 1, maxLength: 8 });

it("ends with its last byte and not before", () => {
  fc.assert(
    fc.property(bodies, bodies, fc.string({ maxLength: 30, unit: "grapheme-ascii" }), cuts, (pages, devices, config, sizes) => {
      const state = savedState(pages, devices, config);
      const stream = new SaveStream();
      for (let at = 0, i = 0; at < state.length; i++) {
        expect(stream.isOver).toBe(false);
        const size = sizes[i % sizes.length]!;
        stream.add(state.subarray(at, at + size));
        at += size;
      }
      expect(stream.isOver).toBe(true);
      expect(() => stream.add(new Uint8Array(1))).toThrow("behind the end");
    }),
  );
});

it.each([
  ["file", 0],
  ["libxl", 50],
  ["libxc", 82],
])("is refused where it is none: %s", (_, at) => {
  const state = savedState([]);
  state.fill(0x20, at, at + 8);
  expect(() => new SaveStream().add(state)).toThrow("no state of a domain that is known here");
});
