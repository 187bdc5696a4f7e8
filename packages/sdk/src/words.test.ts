/** Bounds of what people write, refused in words before anything is asked or signed. */
import { expect, it } from "vitest";
import { conditionsIn, parseAmount, parseDurationMs } from "./words.ts";

it("refuses amounts, times and conditions that no order can hold, and says what can be", () => {
  expect(() => parseAmount("1000000", "--budget")).toThrow("--budget '1000000' is too much: at most 999999.999999999");
  expect(() => parseAmount("12345678.5", "--budget")).toThrow(/is too much/);
  expect(() => parseAmount("1e9", "--budget")).toThrow(/is not an amount/);
  expect(parseAmount("999999.999999999", "--budget")).toBe(999_999_999_999_999n);
  expect(() => parseDurationMs("366d", "--max-time")).toThrow("--max-time '366d' is too long: at most 365d");
  const many = (count: number): string => Array.from({ length: count }, (_, i) => `region!=r${i}`).join(" ");
  expect(conditionsIn(many(32), "--where ")).toHaveLength(32);
  expect(() => conditionsIn(many(33), "--where ")).toThrow("--where has 33 conditions: at most 32");
});
