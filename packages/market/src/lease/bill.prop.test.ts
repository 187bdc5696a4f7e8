/** The bill, over every reason, terms and amount: money is conserved, nobody pays more than was signed. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { FUEL_PER_GUEST_SECOND, FUEL_PER_HOST_SECOND_MAX } from "../fuel.ts";
import { costNanos } from "../resources.ts";
import { settle, billOf, type BillInput } from "./bill.ts";
import { END_REASONS, PAYMENT_TERMS, TERMS } from "./terms.ts";
import { claimed, ended, opened, told } from "./lease.fixture.ts";

const price = {
  vcpuNanosPerSecond: 10_000n,
  memoryGibNanosPerSecond: 1_000n,
  diskGibNanosPerSecond: 10n,
  gigaFuelNanos: 600n,
  egressGibNanos: 1_000_000n,
};
const resources = { vcpu: 1, memoryMib: 512, diskMib: 1024 };
const input: BillInput = {
  ...{
    reason: "completed",
    terms: "by-interval",
    resources,
    price,
    holdNanos: 10_000_000n,
    auditReserveNanos: 0n,
    feeBasisPoints: 500,
    durationMsMax: 60_000,
  },
  ...{
    fuelMax: 10n ** 12n,
    claimedMs: 1500,
    claimedFuel: 5_500_000_000n,
    claimedEgressBytes: 0n,
    egressMibMax: 0,
    openMs: 2000,
    cancellationNanos: 7n,
  },
};

const any = fc.record({
  reason: fc.constantFrom(...END_REASONS),
  terms: fc.constantFrom(...PAYMENT_TERMS),
  claimedMs: fc.nat(1e7),
  openMs: fc.integer({ min: -1_000, max: 1e7 }),
  claimedFuel: fc.bigInt(0n, 10n ** 15n),
  claimedEgressBytes: fc.bigInt(0n, 10n ** 12n),
  egressMibMax: fc.nat(10_000),
  holdNanos: fc.bigInt(0n, 10n ** 12n),
  cancellationNanos: fc.bigInt(0n, 10n ** 6n),
  feeBasisPoints: fc.integer({ min: 0, max: 10_000 }),
});

describe("settlement", () => {
  it("conserves money and never exceeds the hold", () => {
    fc.assert(
      fc.property(any, (over) => {
        const bill = settle({ ...input, ...over });
        expect(bill.feeNanos + bill.ownerNanos + bill.refundNanos).toBe(over.holdNanos);
        expect(bill.feeNanos + bill.ownerNanos).toBe(bill.dueNanos);
        for (const part of [bill.ownerNanos, bill.feeNanos, bill.refundNanos, bill.billableFuel, bill.billableEgressBytes])
          expect(part >= 0n).toBe(true);
        expect(bill.billableMs).toBeGreaterThanOrEqual(0);
        const pay = TERMS[over.reason].pay[over.terms];
        if (pay === "nothing") expect(bill.dueNanos).toBe(0n);
        if (pay === "cancellation") expect(bill.dueNanos <= over.cancellationNanos).toBe(true);
        if (pay !== "used") expect([bill.billableMs, bill.billableFuel, bill.billableEgressBytes]).toEqual([0, 0n, 0n]);
      }),
    );
  });

  it("bills no more than was stated, ordered, and possible by the broker's clock", () => {
    fc.assert(
      fc.property(any, (over) => {
        const bill = settle({ ...input, ...over });
        expect(bill.billableMs).toBeLessThanOrEqual(Math.max(0, Math.min(over.claimedMs, over.openMs, input.durationMsMax)));
        expect(bill.billableFuel <= over.claimedFuel && bill.billableFuel <= input.fuelMax).toBe(true);
        expect(bill.billableFuel * 1_000n <= FUEL_PER_HOST_SECOND_MAX * BigInt(Math.max(0, over.openMs))).toBe(true);
        expect(bill.billableEgressBytes <= over.claimedEgressBytes && bill.billableEgressBytes <= BigInt(over.egressMibMax) << 20n).toBe(
          true,
        );
      }),
    );
  });

  it("never falls when more was used", () => {
    fc.assert(
      fc.property(any, fc.nat(1e6), fc.bigInt(0n, 10n ** 14n), (over, ms, fuel) => {
        const more = { ...over, claimedMs: over.claimedMs + ms, claimedFuel: over.claimedFuel + fuel };
        expect(settle({ ...input, ...more }).dueNanos >= settle({ ...input, ...over }).dueNanos).toBe(true);
      }),
    );
  });
});

describe("examples", () => {
  it("by interval: the least of claimed, open and maximum", () => {
    expect(settle(input)).toMatchObject({ billableMs: 1500, dueNanos: costNanos(resources, price, 1500), blame: "nobody" });
    expect(settle({ ...input, claimedMs: 9_000 }).billableMs).toBe(2000);
    expect(settle({ ...input, openMs: 90_000, claimedMs: 90_000 }).billableMs).toBe(60_000);
  });

  it("on result: fuel alone, at most what was ordered and what a machine can burn", () => {
    const byFuel = { ...input, terms: "on-result" } as const;
    expect(settle(byFuel)).toMatchObject({ billableFuel: 5_500_000_000n, dueNanos: 3_300n });
    expect(settle({ ...byFuel, claimedMs: 60_000, openMs: 60_000 }).dueNanos).toBe(3_300n);
    expect(settle({ ...byFuel, claimedFuel: 10n ** 15n, openMs: 60_000 })).toMatchObject({ billableFuel: 10n ** 12n, dueNanos: 600_000n });
    // right after the opening nothing can have run
    expect(settle({ ...byFuel, claimedFuel: 10n ** 15n, openMs: 1 })).toMatchObject({ billableFuel: FUEL_PER_HOST_SECOND_MAX / 1_000n });
  });

  it("a run that was stopped from outside: no more fuel than its clock had time for", () => {
    const stopped = { ...input, terms: "on-result", reason: "time-limit", claimedFuel: 10n ** 15n } as const;
    expect(settle(stopped).billableFuel).toBe((FUEL_PER_GUEST_SECOND * 1_500n) / 1_000n);
    expect(settle({ ...stopped, claimedFuel: 5n }).billableFuel).toBe(5n);
    expect(settle({ ...stopped, openMs: 100 }).billableFuel).toBe(1_000_000_000n);
  });

  it("of a folded lease: a stop ends what is billed, a result where none was stopped, the last claim where nothing was stated", () => {
    const vm = { order: { terms: "by-interval" } } as const;
    const stopped = told(opened(vm), "stop", { at: 1_005_000 });
    const stated = told(stopped, "result", { at: 1_009_000, content: { reason: "customer-stop", exitCode: null, usedMs: 8_000 } });
    expect(billOf(stated, { reason: "customer-stop", at: 1_009_000 }).billableMs).toBe(1_005_000 - (stated.openedAt ?? 0));
    const done = told(opened(vm), "result", { at: 1_009_000, content: { usedMs: 8_000 } });
    expect(billOf(done, { reason: "completed", at: 1_020_000 }).billableMs).toBe(8_000);
    expect(billOf(claimed(opened(vm)), { reason: "server-unreachable", at: 1_090_000 }).billableMs).toBe(100);
    expect(billOf(ended(), { reason: "completed", at: 1_090_000 })).toMatchObject({ billableFuel: 5_000_000_000n, dueNanos: 3_000n });
  });
});
