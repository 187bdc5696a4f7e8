import { expect, it } from "vitest";
import { preparationLine } from "./preparation-line.ts";

const MIB = 1024 * 1024;

it("says what making a large module ready takes, and refuses what the budget does not pay for", () => {
  expect(preparationLine(30 * MIB, 10n ** 11n)).toBe("prepare  8.05 Gfuel of it, for making the module ready to run");
  expect([preparationLine(0, 1n), preparationLine(MIB - 1, 10n ** 11n)]).toEqual([null, null]);
  expect(() => preparationLine(30 * MIB, 8n * 10n ** 9n)).toThrow(
    /takes 8.05 Gfuel, and 8 Gfuel are the most that the budget pays for.*--budget/,
  );
});
