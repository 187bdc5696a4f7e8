/**
 * The money: the settlement is the fold's own bill. Proved where all that it rests on was signed by whom it speaks of: the reason and
 * the use by the server, the delivery by the customer. What rests on the broker's word alone (that nobody was heard, that bytes lie
 * sealed, a time that cut the bill) stays claimed. Who controls the inputs: the broker (closing, settlement, times), the server (result,
 * claims).
 */
import { TERMS, formatMoney, meteringOf, type Lease } from "@xenoservers/market";
import type { Checking } from "./checking.ts";
import { claimed, failed, proved, type Said } from "./line.ts";
import { wrongResult } from "./result.ts";
import { unclaimed } from "./use.ts";

function unsettled(lease: Lease): Said {
  if (lease.state === "lapsed") return claimed("it lapsed before it was opened: nothing is due");
  if (lease.state === "closed") return failed("it was closed, and its settlement is missing");
  return claimed("the lease is not settled yet");
}

/** Whether less is billed than the server stated within what was ordered: then only the log's times say why. */
function isCut(lease: Lease, end: NonNullable<Lease["end"]>): boolean {
  const { result } = lease;
  if (!result) return false;
  const least = (one: bigint, other: bigint): bigint => (one < other ? one : other);
  return meteringOf(lease.terms) === "fuel"
    ? BigInt(end.billableFuel) < least(BigInt(result.fuel), BigInt(lease.fuelMax))
    : end.billableMs < Math.min(result.usedMs, lease.durationMsMax);
}

/** What of the bill is one party's word alone; null where nothing is. */
function onlyOnesWord(checking: Checking, lease: Lease, end: NonNullable<Lease["end"]>): string | null {
  const { own, isLogProved } = checking;
  if (wrongResult(checking) !== null) return "it is for a result that is not right";
  const row = TERMS[end.reason];
  if (lease.result?.reason !== end.reason)
    return row.blame === "broker" ? "it is the broker's own failure" : "that nothing else was heard is the broker's word";
  if (row.pay[lease.terms] !== "used") return null;
  if (lease.delivery?.by === "broker" && own.outputDigest === undefined) return "that its bytes lie sealed is the broker's word";
  const hole = unclaimed(checking, lease);
  if (hole !== null) return hole;
  const byTimes = lease.stop !== null || isCut(lease, end);
  return byTimes && !isLogProved ? "how much time it could use follows from the log's times" : null;
}

export function checkBill(checking: Checking, lease: Lease): Said {
  const { end } = lease;
  if (!end) return unsettled(lease);
  const used = meteringOf(lease.terms) === "fuel" ? `${end.billableFuel} fuel` : `${end.billableMs} ms`;
  const egress = end.billableEgressBytes > 0 ? ` and ${end.billableEgressBytes} bytes of egress` : "";
  const money = `${formatMoney(BigInt(end.dueNanos))} for ${used}${egress}, ${formatMoney(BigInt(end.refundNanos))} back, recomputed`;
  const says = `${money}; ended: ${end.reason}, blame: ${end.blame}`;
  const word = onlyOnesWord(checking, lease, end);
  return word === null ? proved(says) : claimed(`${says}; ${word}`);
}
