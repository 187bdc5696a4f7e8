/** Addresses that an owner gives to leases. */
import { expect, it } from "vitest";
import { addressRange, freeAddress, isGiven, isWithin } from "./address-range.ts";

it("reads a range of one network, and nothing else", () => {
  expect(addressRange("10.9.0.16-10.9.0.18/24")).toEqual({ first: 0x0a_09_00_10, last: 0x0a_09_00_12, bits: 24 });
  for (const bad of [
    "",
    "10.9.0.16",
    "10.9.0.16-10.9.1.18/24",
    "10.9.0.18-10.9.0.16/24",
    "10.9.0.16-10.9.0.300/24",
    "10.0.0.1-10.255.0.1/8",
  ])
    expect(addressRange(bad), bad).toBeNull();
  for (const bits of [0, 7, 31, 32, 99]) expect(addressRange(`10.9.0.16-10.9.0.16/${bits}`), String(bits)).toBeNull();
});

it("gives each once, also across the bounds of bytes, and no more than there are", () => {
  const range = addressRange("200.9.0.255-200.9.1.1/16")!;
  expect(freeAddress(range, new Set())).toBe("200.9.0.255");
  expect(freeAddress(range, new Set(["200.9.0.255", "200.9.1.0"]))).toBe("200.9.1.1");
  expect(freeAddress(range, new Set(["200.9.0.255", "200.9.1.0", "200.9.1.1"]))).toBeNull();
  expect([isWithin(range, "200.9.250.1"), isWithin(range, "200.10.0.1"), isWithin(range, "a gateway")]).toEqual([true, false, false]);
  expect([isGiven(range, "200.9.1.0"), isGiven(range, "200.9.1.2")]).toEqual([true, false]);
});
