import { expect, it } from "vitest";
import { parseArray } from "./map-array.ts";

it.each<[string, number[]]>([
  ["0-3", [0, 1, 2, 3]],
  ["0-10:4", [0, 4, 8]],
  ["7", [7]],
  ["5-6,1,5", [5, 6, 1]],
])("%s", (typed, numbers) => {
  expect(parseArray(typed, "--array")).toEqual(numbers);
});

it.each(["", "-1", "3-1", "0-9:0", "a", "0-9,", "1.5", "0x3", "0-99999999999"])("'%s' is no range", (typed) => {
  expect(() => parseArray(typed, "--array")).toThrow(/--array '.*' is no range of numbers/);
});

it("has a bound, before it is counted out", () => {
  expect(parseArray("0-9999", "--array")).toHaveLength(10_000);
  for (const typed of ["0-10000", "0-999999999", "0-9999,20000"]) expect(() => parseArray(typed, "--array")).toThrow(/more than 10000/);
});

it("says how so many at once are said here, to those who know SLURM's arrays", () => {
  expect(() => parseArray("0-9%2", "--array")).toThrow("--array takes no %: -P COUNT runs so many at once");
});
