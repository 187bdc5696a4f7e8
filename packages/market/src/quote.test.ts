import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { fuelCostNanos } from "./fuel.ts";
import { paysForWork, quote, type QuoteInput } from "./quote.ts";
import { affordableMs, costNanos, egressCostNanos } from "./resources.ts";

const price = {
  vcpuNanosPerSecond: 10_000n,
  memoryGibNanosPerSecond: 1_000n,
  diskGibNanosPerSecond: 10n,
  gigaFuelNanos: 600n,
  egressGibNanos: 0n,
};
const resources = { vcpu: 1, memoryMib: 512, diskMib: 1024 };
const wanted: QuoteInput = {
  terms: "by-interval",
  resources,
  price,
  budgetNanos: 1_000_000n,
  durationMsMax: 3_600_000,
  fuelMax: 5n,
  egressMibMax: 0,
  holdsReserve: false,
};

describe("a quote", () => {
  it("is the time that the budget pays for", () => {
    const q = quote(wanted);
    expect([q.timeBound, q.fuelBound, q.fuelMax]).toEqual(["budget", "fuel-limit", 5n]);
    expect(q.holdNanos <= 1_000_000n).toBe(true);
    expect(costNanos(resources, price, affordableMs(resources, price, 1_000_000n) + 1) >= 1_000_000n).toBe(true);
  });

  it("holds as much again for a referee's run, beside what its budget pays for", () => {
    const plain = quote({ ...wanted, terms: "on-result", budgetNanos: 10_000n, fuelMax: 10n ** 10n });
    const audited = quote({ ...wanted, terms: "on-result", budgetNanos: 5_000n, fuelMax: 10n ** 10n, holdsReserve: true });
    expect(plain).toMatchObject({ workNanos: 6_000n, auditReserveNanos: 0n, holdNanos: 6_000n, fuelBound: "fuel-limit" });
    expect(audited).toMatchObject({ workNanos: 4_999n, auditReserveNanos: 4_999n, holdNanos: 9_998n, fuelBound: "budget" });
  });

  it("is the fuel that the budget pays for, whatever the time", () => {
    const q = quote({ ...wanted, terms: "on-result", budgetNanos: 1_000n, fuelMax: 10n ** 12n });
    expect(q).toMatchObject({
      timeBound: "time-limit",
      fuelBound: "budget",
      durationMsMax: 3_600_000,
      fuelMax: 1_666_666_666n,
      holdNanos: 999n,
    });
  });

  it("of what costs nothing holds nothing", () => {
    const free = { ...price, gigaFuelNanos: 0n };
    expect(quote({ ...wanted, terms: "on-result", price: free, budgetNanos: 0n, durationMsMax: 1, fuelMax: 7n })).toMatchObject({
      fuelMax: 7n,
      holdNanos: 0n,
    });
  });

  it("never holds more than the budget, egress included, and keeps room for all of the egress first", () => {
    fc.assert(
      fc.property(
        fc.bigInt(0n, 10n ** 12n),
        fc.nat(100_000),
        fc.bigInt(0n, 10n ** 9n),
        fc.constantFrom("on-result" as const, "by-interval" as const),
        (budgetNanos, egressMibMax, egressGibNanos, terms) => {
          const input = { ...wanted, terms, budgetNanos, egressMibMax, price: { ...price, egressGibNanos }, fuelMax: 10n ** 13n };
          const q = quote(input);
          const egress = egressCostNanos(input.price, BigInt(egressMibMax) << 20n);
          expect(q.holdNanos <= (budgetNanos > egress ? budgetNanos : egress)).toBe(true);
          expect(q.cancellationNanos <= q.holdNanos).toBe(true);
          const work = terms === "on-result" ? fuelCostNanos(price, q.fuelMax) : costNanos(resources, price, q.durationMsMax);
          expect(q.holdNanos).toBe(work + egress);
          if (egress > budgetNanos) expect(paysForWork(q)).toBe(false);
        },
      ),
    );
  });

  it("pays for nothing of a server whose work is for nothing and whose egress is not", () => {
    const free = { vcpuNanosPerSecond: 0n, memoryGibNanosPerSecond: 0n, diskGibNanosPerSecond: 0n, gigaFuelNanos: 0n };
    for (const terms of ["on-result", "by-interval"] as const) {
      const over = { ...wanted, terms, egressMibMax: 1024, price: { ...free, egressGibNanos: 1_000_001n } };
      expect(paysForWork(quote(over))).toBe(false);
      expect(paysForWork(quote({ ...over, budgetNanos: 1_000_001n }))).toBe(true);
    }
  });
});
