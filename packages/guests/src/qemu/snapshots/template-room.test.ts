/** Who keeps booted guests when others order many. */
import fc from "fast-check";
import { expect, it } from "vitest";
import { templatesToDrop, type KeptTemplate } from "./template-room.ts";

const of = (maker: string, ...times: number[]): KeptTemplate[] => times.map((at) => ({ name: `${maker}${at}`, maker, at }));

it("a customer that orders one image after the other pushes out its own, never another's", () => {
  const others = [...of("a", 1), ...of("b", 2)];
  expect(templatesToDrop([...others, ...of("c", 3, 4, 5)], 4)).toEqual(["c3"]);
  expect(templatesToDrop([...others, ...of("c", 3, 4)], 4)).toEqual([]);
});

it("of all together the least used goes, and an owner's own have no share", () => {
  expect(templatesToDrop([...of("a", 1), ...of("b", 2), ...of("c", 3)], 2)).toEqual(["a1"]);
  expect(templatesToDrop(of("", 1, 2, 3), 2)).toEqual(["1"]);
  expect(templatesToDrop(of("a", 1, 2), 1)).toEqual(["a1"]);
});

it("never more are kept than may be, nor more of one customer than its share, and what goes is used less than what stays of the same", () => {
  const template = fc.record({ maker: fc.constantFrom("a", "b", "c"), at: fc.nat() });
  fc.assert(
    fc.property(fc.array(template, { maxLength: 20 }), fc.integer({ min: 1, max: 9 }), (templates, most) => {
      const kept = templates.map((each, i) => ({ ...each, name: String(i) }));
      const gone = new Set(templatesToDrop(kept, most));
      const stay = kept.filter(({ name }) => !gone.has(name));
      expect(stay.length).toBeLessThanOrEqual(most);
      for (const maker of ["a", "b", "c"]) {
        const own = stay.filter((each) => each.maker === maker);
        expect(own.length).toBeLessThanOrEqual(Math.max(1, most / 2));
        const oldest = Math.min(...own.map(({ at }) => at));
        for (const each of kept) if (each.maker === maker && gone.has(each.name)) expect(each.at).toBeLessThanOrEqual(oldest);
      }
    }),
  );
});
