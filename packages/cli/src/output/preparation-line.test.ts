import { expect, it } from "vitest";
import { preparationLine } from "./preparation-line.ts";

const MIB = 1024 * 1024;

it("says what making a large module ready takes", () => {
  expect(preparationLine(30 * MIB)).toBe("prepare  8.05 Gfuel of it, for making the module ready to run");
  expect([preparationLine(0), preparationLine(MIB - 1)]).toEqual([null, null]);
});
