import { expect, it } from "vitest";
import { isAfter, numbersIn } from "./cursors.ts";

it.each([
  ["9.9.9", "9.9.8", true],
  ["9.1000.1", "9.999.5", true],
  ["9.999.5", "9.1000.1", false],
  ["9.99.10", "9.99.9", true],
  ["9.99.9", "9.99.9", false],
  ["10", "9", true],
  ["9", "10", false],
  ["8.1.1", "9.5.5", true],
  ["9.1.1", null, true],
  ["9.1.1", "9", true],
  ["9.1.1", "...", true],
])("%s comes after %s: %s", (cursor, place, after) => expect(isAfter(cursor, place)).toBe(after));

it("reads no number that the database has not", () => {
  expect(numbersIn(`1.${"9".repeat(20)}.x`)).toEqual([1n, 2n ** 63n - 1n, 0n]);
});
