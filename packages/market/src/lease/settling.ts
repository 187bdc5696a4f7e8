/** Closing and settlement: the reason is the fold's own, the money is the fold's own bill. */
import { statedDrawProblem, type StatedDraw } from "../audit.ts";
import { billOf, type Bill } from "./bill.ts";
import { deadlineOf, silenceReason, stretched } from "./deadlines.ts";
import type { FactOf, SettlementContent } from "./facts.ts";
import type { Lease, LeaseEnd } from "./lease.ts";
import { refused, taken, type Step } from "./refusal.ts";
import type { EndReason } from "./terms.ts";

/** The reason for which the lease may be closed at this time: its result's, or the silence that its deadlines give. Null: it goes on. */
export function closingReason(lease: Lease, at: number): EndReason | null {
  if (lease.state === "ended") return lease.result?.reason ?? null;
  const deadline = deadlineOf(lease);
  return deadline !== null && at >= deadline ? silenceReason(lease) : null;
}

export function close(lease: Lease, { id, at, content }: FactOf<"closing">): Step {
  const reason = closingReason(lease, at);
  if (reason === null) return refused("too_early", "nothing has ended this lease yet", { deadlineAt: deadlineOf(lease) });
  if (content.reason !== reason) return refused("result_mismatch", `closed as ${content.reason}, its documents say ${reason}`, { reason });
  if (content.lastClaim !== (lease.lastClaim?.id ?? null)) return refused("conflict", "the closing names another last claim");
  if (content.at !== at) return refused("conflict", "the closing's time is not the log's");
  const closing = { id, reason, at };
  // a lease that never opened has nothing to settle
  return taken({ ...lease, state: lease.openedAt === null ? "lapsed" : "closed", openClaim: null, closing });
}

/** What the settlement of a closed lease must say, money as decimal nanos, of which the draw is its broker's word until its round ends. */
export function endOf(lease: Lease, closing: NonNullable<Lease["closing"]>, { audited, auditRound }: StatedDraw): LeaseEnd {
  const bill: Bill = billOf(lease, closing);
  return {
    reason: closing.reason,
    blame: bill.blame,
    at: closing.at,
    billableMs: bill.billableMs,
    billableFuel: bill.billableFuel.toString(),
    billableEgressBytes: Number(bill.billableEgressBytes),
    dueNanos: bill.dueNanos.toString(),
    feeNanos: bill.feeNanos.toString(),
    ownerNanos: bill.ownerNanos.toString(),
    refundNanos: bill.refundNanos.toString(),
    windowEndsAt: stretched(closing.at, lease.timings.disputeWindowMs, []),
    ...{ audited, auditRound },
  };
}

/** Where a settlement differs from the fold's own, in words; null when it does not. */
function settlementProblem(own: LeaseEnd, stated: SettlementContent): string | null {
  const pairs: readonly (readonly [what: string, own: string | number, stated: string | number])[] = [
    ["reason", own.reason, stated.reason],
    ["blame", own.blame, stated.blame],
    ["billable fuel", own.billableFuel, stated.billableFuel],
    ["billable time", own.billableMs, stated.billableMs],
    ["billable egress", own.billableEgressBytes, stated.billableEgressBytes],
    ["due", own.dueNanos, stated.dueNanos],
    ["fee", own.feeNanos, stated.feeNanos],
    ["owner's part", own.ownerNanos, stated.ownerNanos],
    ["refund", own.refundNanos, stated.refundNanos],
    ["end of the window", own.windowEndsAt, stated.windowEndsAt],
  ];
  const wrong = pairs.find(([, mine, theirs]) => mine !== theirs);
  return wrong ? `${wrong[0]} is ${wrong[2]}, computed ${wrong[1]}` : null;
}

export function settleLease(lease: Lease, { id, content }: FactOf<"settlement">): Step {
  if (!lease.closing) return refused("wrong_state", "nothing is settled before the closing");
  if (content.closing !== lease.closing.id) return refused("conflict", "the settlement is of another closing");
  if (content.result !== (lease.result?.id ?? null)) return refused("conflict", "the settlement names another result");
  const end = endOf(lease, lease.closing, content);
  const wrong = settlementProblem(end, content);
  const draw = statedDrawProblem(lease, lease.closing.reason, content);
  if (draw !== null) return refused("bill_mismatch", `the settlement is wrong: audited is ${content.audited}, ${draw}`);
  return wrong === null
    ? taken({ ...lease, state: "settled", settlement: id, end })
    : refused("bill_mismatch", `the settlement is wrong: ${wrong}`);
}
