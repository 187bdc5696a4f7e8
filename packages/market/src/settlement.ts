/**
 * Settlement: one pure function of the lease's logged documents. Broker, owner and customer each compute it and must agree (PROTOCOL section 4).
 * Who controls the inputs: the server controls `claimedMs`, `claimedFuel` and `claimedEgressBytes`, the broker the times; the purchase order bounds both.
 */
import { FUEL_PER_GUEST_SECOND, fuelCostNanos, meteringOf } from "./fuel.ts";
import { minNanos } from "./money.ts";
import { costNanos, egressBytesMax, egressCostNanos, type PriceVector, type Resources } from "./resources.ts";
import { STOPPED_FROM_OUTSIDE, TERMS, type Blame, type EndReason, type PaymentTerms } from "./terms.ts";

export interface SettlementInput {
  reason: EndReason;
  terms: PaymentTerms;
  resources: Resources;
  price: PriceVector;
  holdNanos: bigint;
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
  /** Broker time from the opening to the receipted end; 0 when never opened. */
  openMs: number;
  /** The least that a reserved and unused slot costs, frozen in the purchase order. */
  cancellationNanos: bigint;
}

export interface Settlement {
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

/** What a run that was stopped from outside used is the server's word: never more than the guest's clock had time for. */
function mostFuel({ reason, fuelMax }: SettlementInput, billableMs: number): bigint {
  return STOPPED_FROM_OUTSIDE.includes(reason) ? minNanos(fuelMax, (FUEL_PER_GUEST_SECOND * BigInt(billableMs)) / 1_000n) : fuelMax;
}

export function settle(input: SettlementInput): Settlement {
  const row = TERMS[input.reason];
  const pay = row.pay[input.terms];
  const billableMs = pay === "used" ? Math.max(0, Math.min(input.claimedMs, input.openMs, input.durationMsMax)) : 0;
  const billableFuel = pay === "used" ? minNanos(input.claimedFuel, mostFuel(input, billableMs)) : 0n;
  const billableEgressBytes = pay === "used" ? minNanos(input.claimedEgressBytes, egressBytesMax(input.egressMibMax)) : 0n;
  const used = meteringOf(input.terms) === "fuel" ? fuelCostNanos(input.price, billableFuel) : costNanos(input.resources, input.price, billableMs);
  const wanted = pay === "used" ? used + egressCostNanos(input.price, billableEgressBytes) : pay === "cancellation" ? input.cancellationNanos : 0n;
  const dueNanos = minNanos(wanted, input.holdNanos);
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
