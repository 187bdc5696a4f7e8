import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { NANOS_MAX, formatMoney, parseMoney, parseNanos } from "./money.ts";

describe("money", () => {
  it("reads and shows amounts without floating point", () => {
    expect(parseMoney("0.05")).toBe(50_000_000n);
    expect(parseMoney("1")).toBe(1_000_000_000n);
    expect(parseMoney("0.0000000001")).toBeNull();
    expect(parseMoney("-1")).toBeNull();
    expect(formatMoney(-1_500_000_001n)).toBe("-1.500000001");
    expect(parseNanos("007")).toBeNull();
    expect(parseNanos("1e3")).toBeNull();
    expect([parseNanos(NANOS_MAX.toString()), parseNanos((NANOS_MAX + 1n).toString())]).toEqual([NANOS_MAX, null]);
  });

  it("round-trips any amount", () => {
    fc.assert(fc.property(fc.bigInt({ min: 0n, max: 999_999_999_999_999n }), (n) => parseMoney(formatMoney(n)) === n));
  });
});
