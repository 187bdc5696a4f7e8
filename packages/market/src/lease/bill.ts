/**
 * The bill: one pure function of the folded lease. Broker, owner and customer each compute it and must agree (PROTOCOL section 4).
 * Who controls the inputs: the server controls `claimedMs`, `claimedFuel` and `claimedEgressBytes`, the broker the times; the purchase
 * order bounds both.
 */
import { FUEL_PER_GUEST_SECOND, FUEL_PER_HOST_SECOND_MAX, fuelCostNanos, meteringOf } from "../fuel.ts";
import { minNanos } from "../money.ts";
import { costNanos, egressBytesMax, egressCostNanos, priceVectorOf, type PriceVector, type Resources } from "../resources.ts";
import type { Lease } from "./lease.ts";
import { TERMS, type Blame, type EndReason, type PaymentTerms } from "./terms.ts";
import { mostUsedMs } from "./use.ts";

export interface BillInput {
  reason: EndReason;
  terms: PaymentTerms;
  resources: Resources;
  price: PriceVector;
  holdNanos: bigint;
  /** Of the hold, what pays for nothing of the lease itself. */
  auditReserveNanos: bigint;
  feeBasisPoints: number;
  durationMsMax: number;
  fuelMax: bigint;
  /** Use by the result manifest, or the last receipted claim; 0 when there is none. */
  claimedMs: number;
  /** Use by the result manifest; 0 when there is none. */
  claimedFuel: bigint;
  /** Bytes over the guest's network, by the result manifest or the last receipted claim. */
  claimedEgressBytes: bigint;
  egressMibMax: number;
  /** What there was time for between the opening and the receipted end, by the broker's clock; 0 when never opened. */
  openMs: number;
  /** The least that a reserved and unused slot costs, frozen in the purchase order. */
  cancellationNanos: bigint;
}

export interface Bill {
  reason: EndReason;
  blame: Blame;
  retryFree: boolean;
  billableMs: number;
  billableFuel: bigint;
  billableEgressBytes: bigint;
  /** What the customer pays in all. */
  dueNanos: bigint;
  /** The broker's part of it. */
  feeNanos: bigint;
  /** The owner's part of it. */
  ownerNanos: bigint;
  refundNanos: bigint;
}

const BASIS_POINTS = 10_000n;

/**
 * The most fuel that is billed: what was ordered, and no more than a machine can burn between opening and end by the broker's clock. What
 * a run that was stopped from outside used is the server's word alone: no more than the guest's own clock had time for.
 */
function mostFuel({ reason, fuelMax, openMs }: BillInput, billableMs: number): bigint {
  const [perSecond, ms] = TERMS[reason].byChance ? [FUEL_PER_GUEST_SECOND, billableMs] : [FUEL_PER_HOST_SECOND_MAX, Math.max(0, openMs)];
  return minNanos(fuelMax, (perSecond * BigInt(ms)) / 1_000n);
}

export function settle(input: BillInput): Bill {
  const row = TERMS[input.reason];
  const pay = row.pay[input.terms];
  const billableMs = pay === "used" ? Math.max(0, Math.min(input.claimedMs, input.openMs, input.durationMsMax)) : 0;
  const billableFuel = pay === "used" ? minNanos(input.claimedFuel, mostFuel(input, billableMs)) : 0n;
  const billableEgressBytes = pay === "used" ? minNanos(input.claimedEgressBytes, egressBytesMax(input.egressMibMax)) : 0n;
  const used =
    meteringOf(input.terms) === "fuel" ? fuelCostNanos(input.price, billableFuel) : costNanos(input.resources, input.price, billableMs);
  const wanted =
    pay === "used" ? used + egressCostNanos(input.price, billableEgressBytes) : pay === "cancellation" ? input.cancellationNanos : 0n;
  const dueNanos = minNanos(wanted, input.holdNanos - input.auditReserveNanos);
  const feeNanos = (dueNanos * BigInt(input.feeBasisPoints)) / BASIS_POINTS;
  return {
    reason: input.reason,
    blame: row.blame,
    retryFree: row.retryFree,
    billableMs,
    billableFuel,
    billableEgressBytes,
    dueNanos,
    feeNanos,
    ownerNanos: dueNanos - feeNanos,
    refundNanos: input.holdNanos - dueNanos,
  };
}

/** The bill of a lease that is closed, by its facts alone. A stop ends what is billed; a result ends it where none was stopped. */
export function billOf(lease: Lease, closing: { reason: EndReason; at: number }): Bill {
  const { result, lastClaim, openedAt, stop } = lease;
  // silence after a result is no use: only what was claimed before counts then
  const stated = closing.reason === result?.reason ? result : null;
  const endedAt = stop?.at ?? result?.at ?? closing.at;
  return settle({
    reason: closing.reason,
    terms: lease.terms,
    resources: lease.resources,
    price: priceVectorOf(lease.price),
    holdNanos: BigInt(lease.holdNanos),
    auditReserveNanos: BigInt(lease.auditReserveNanos),
    feeBasisPoints: lease.feeBasisPoints,
    durationMsMax: lease.durationMsMax,
    fuelMax: BigInt(lease.fuelMax),
    claimedMs: stated?.usedMs ?? lastClaim?.usedMs ?? 0,
    claimedFuel: BigInt(stated?.fuel ?? 0),
    claimedEgressBytes: BigInt(stated?.egressBytes ?? lastClaim?.egressBytes ?? 0),
    egressMibMax: lease.egressMibMax,
    openMs: openedAt === null ? 0 : mostUsedMs(lease, endedAt),
    cancellationNanos: BigInt(lease.cancellationNanos),
  });
}
