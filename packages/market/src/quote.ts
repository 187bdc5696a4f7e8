/**
 * What a lease on a given offer would cost at most: shown before the start, frozen in the purchase order. Pure; the broker and the
 * customer compute the same.
 */
import { FUEL_PER_GUEST_SECOND, affordableFuel, fuelCostNanos, meteringOf } from "./fuel.ts";
import { affordableMs, costNanos, egressBytesMax, egressCostNanos, type PriceVector, type Resources } from "./resources.ts";
import type { PaymentTerms } from "./lease/terms.ts";

export interface QuoteInput {
  terms: PaymentTerms;
  resources: Resources;
  price: PriceVector;
  /** For the lease itself. */
  budgetNanos: bigint;
  durationMsMax: number;
  fuelMax: bigint;
  /** Held for in full, before time or fuel. */
  egressMibMax: number;
  /** Whether what a referee's run of it costs is held too. */
  holdsReserve: boolean;
}

export interface Quote {
  ratePerHourNanos: bigint;
  /** The lease's longest time: the order's, or what the budget pays for. */
  durationMsMax: number;
  /** The most fuel: the order's, or what the budget pays for. */
  fuelMax: bigint;
  /** What reaching the longest time is called. */
  timeBound: "time-limit" | "budget";
  /** What using up the fuel is called. */
  fuelBound: "fuel-limit" | "budget";
  /** What the lease itself costs at most. */
  workNanos: bigint;
  /** What a referee's run of all of it costs at most at this price. */
  auditReserveNanos: bigint;
  /** Both, held in full before the start. */
  holdNanos: bigint;
  cancellationNanos: bigint;
}

/** A reserved and unused slot costs one second of it. */
const CANCELLATION_MS = 1_000;
const HOUR_MS = 3_600_000;
const HOUR_SECONDS = 3_600n;

/** Whether the budget pays for any of it. */
export const paysForWork = ({ durationMsMax, fuelMax }: Pick<Quote, "durationMsMax" | "fuelMax">): boolean =>
  durationMsMax >= 1 && fuelMax >= 1n;

/** For people, sorting and maximum prices: an hour of the resources, or of the guest's clock where fuel is billed. */
export function costPerHourNanos(terms: PaymentTerms, resources: Resources, price: PriceVector): bigint {
  return meteringOf(terms) === "fuel" ? fuelCostNanos(price, FUEL_PER_GUEST_SECOND * HOUR_SECONDS) : costNanos(resources, price, HOUR_MS);
}

export function quote({ terms, resources, price, budgetNanos, durationMsMax, fuelMax, egressMibMax, holdsReserve }: QuoteInput): Quote {
  const egressNanos = egressCostNanos(price, egressBytesMax(egressMibMax));
  const left = budgetNanos - egressNanos;
  const byFuel = meteringOf(terms) === "fuel";
  // what its egress alone costs too much for gets nothing, also where work is for nothing
  const time = left < 0n ? 0 : byFuel ? Number.MAX_SAFE_INTEGER : affordableMs(resources, price, left);
  const fuel = left < 0n ? 0n : byFuel ? affordableFuel(price, left) : fuelMax;
  const boundedMs = Math.min(durationMsMax, time);
  const boundedFuel = fuel < fuelMax ? fuel : fuelMax;
  const workNanos = (byFuel ? fuelCostNanos(price, boundedFuel) : costNanos(resources, price, boundedMs)) + egressNanos;
  const cancellation = byFuel ? fuelCostNanos(price, FUEL_PER_GUEST_SECOND) : costNanos(resources, price, CANCELLATION_MS);
  return {
    ratePerHourNanos: costPerHourNanos(terms, resources, price),
    durationMsMax: boundedMs,
    fuelMax: boundedFuel,
    timeBound: time < durationMsMax ? "budget" : "time-limit",
    fuelBound: fuel < fuelMax ? "budget" : "fuel-limit",
    workNanos,
    auditReserveNanos: holdsReserve ? workNanos : 0n,
    holdNanos: holdsReserve ? 2n * workNanos : workNanos,
    cancellationNanos: cancellation < workNanos ? cancellation : workNanos,
  };
}
