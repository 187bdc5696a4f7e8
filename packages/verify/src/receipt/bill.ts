/** The bill, computed from the documents alone: what broker, owner and customer must each arrive at. */
import { settle, type EndReason, type Settlement } from "@xenoservers/market";
import type { Payload } from "@xenoservers/protocol";
import { priceVectorOf } from "./purchase-order.ts";

export interface BillInput {
  po: Payload<"purchase-order">;
  /** The last amendment, when the lease was extended. */
  amendment: Payload<"amendment"> | null;
  reason: EndReason;
  openedAt: number | null;
  /** When a stop was accepted, or the closing's time. */
  endedAt: number;
  /** By the result manifest, or the last receipted claim; 0 for none. */
  claimedMs: number;
  /** By the result manifest; 0 for none. */
  claimedFuel: bigint;
  /** By the result manifest, or the last receipted claim; 0 for none. */
  claimedEgressBytes: bigint;
}

export function computeBill({ po, amendment, reason, openedAt, endedAt, claimedMs, claimedFuel, claimedEgressBytes }: BillInput): Settlement {
  return settle({
    reason,
    terms: po.terms,
    resources: po.resources,
    price: priceVectorOf(po.price),
    holdNanos: BigInt(amendment?.holdNanos ?? po.holdNanos),
    feeBasisPoints: po.feeBasisPoints,
    durationMsMax: amendment?.durationMsMax ?? po.durationMsMax,
    fuelMax: BigInt(po.fuelMax),
    claimedMs,
    claimedFuel,
    claimedEgressBytes,
    egressMibMax: po.egressMibMax,
    openMs: openedAt === null ? 0 : endedAt - openedAt,
    cancellationNanos: BigInt(po.cancellationNanos),
  });
}

/** Where the broker's settlement differs from one's own, in words; null when it does not. */
export function settlementProblem(own: Settlement, stated: Payload<"settlement">): string | null {
  const pairs: [string, string, string][] = [
    ["reason", own.reason, stated.reason],
    ["blame", own.blame, stated.blame],
    ["billable fuel", own.billableFuel.toString(), stated.billableFuel],
    ["billable time", String(own.billableMs), String(stated.billableMs)],
    ["billable egress", own.billableEgressBytes.toString(), String(stated.billableEgressBytes)],
    ["due", own.dueNanos.toString(), stated.dueNanos],
    ["fee", own.feeNanos.toString(), stated.feeNanos],
    ["owner's part", own.ownerNanos.toString(), stated.ownerNanos],
    ["refund", own.refundNanos.toString(), stated.refundNanos],
  ];
  const wrong = pairs.find(([, mine, theirs]) => mine !== theirs);
  return wrong ? `${wrong[0]} is ${wrong[2]}, computed ${wrong[1]}` : null;
}
