/**
 * After the settlement: objections and doubts, and how each comes to an end. Whatever could stop one is checked before anything is
 * frozen; each costs a deposit in proportion and has a deadline. Nothing here judges a result: `finding` is what comparing two signed
 * results came to (verify/judging).
 */
import { disputeDepositNanos, traceRootsMax } from "../dispute.ts";
import { DRIVERS, runsAlike } from "../drivers.ts";
import { invariant } from "../invariant.ts";
import { priceVectorOf } from "../resources.ts";
import { speaksAs } from "../roles.ts";
import { deadlineOf, owesTrace } from "./deadlines.ts";
import type { FactOf } from "./facts.ts";
import type { FinalMoney, Lease, LeaseEnd } from "./lease.ts";
import { firstRefused, refused, taken, type LeaseRefusal, type Step } from "./refusal.ts";
import { proofOf } from "./proofs.ts";
import { TERMS } from "./terms.ts";

export function endOfLease({ end }: Lease): LeaseEnd {
  invariant(end !== null, "only a settled lease can be disputed");
  return end;
}

export const inWindow = (lease: Lease, at: number): LeaseRefusal | null => {
  const deadline = deadlineOf(lease);
  return deadline !== null && at > deadline ? refused("too_late", "the window is over", { windowEndsAt: deadline }) : null;
};

/** Why no other server's result can say anything of this lease's; null where it can. */
function incomparable(lease: Lease): LeaseRefusal | null {
  const { result, end, driver, assurance, fuelMax } = lease;
  if (!result) return refused("not_comparable", "it ended without a result");
  if (!runsAlike(driver, assurance)) return refused("not_comparable", "an ordinary machine runs differently each time");
  if (proofOf(lease, { ...result, fuelMax }) === null)
    return refused("not_comparable", `running the job again shows nothing of ${result.reason}`);
  if (end && TERMS[end.reason].proof === null) return refused("not_comparable", "nothing is paid for it: its bytes were not delivered");
  return null;
}

/** Breakpoints show the run of a whole job, to its own end or to where it was ended. */
function untraceable(lease: Lease): LeaseRefusal | null {
  const unfit = incomparable(lease);
  if (unfit) return unfit;
  if (!DRIVERS[lease.driver].can.breakpoints)
    return refused("not_comparable", `${DRIVERS[lease.driver].guest} has no breakpoints: a referee runs all of it`);
  return lease.segment ? refused("not_comparable", "a segment has no breakpoints within it") : null;
}

const TENTH = 10n;

/** What an objection costs until it is ruled on: a tenth of what it is about. */
export function objectionDepositNanos(dueNanos: string, expectedDueNanos: string): bigint {
  const [due, expected] = [BigInt(dueNanos), BigInt(expectedDueNanos)];
  return ((due > expected ? due : expected) + TENTH - 1n) / TENTH;
}

export function object(lease: Lease, { at, signer, content }: FactOf<"objection">): Step {
  const end = endOfLease(lease);
  const { expectedDueNanos } = content;
  const asCustomer = speaksAs(lease, signer, "customer");
  if (!asCustomer && !speaksAs(lease, signer, "owner"))
    return refused("not_yours", "the objection is neither its customer's nor its owner's");
  const wrong =
    inWindow(lease, at) ??
    firstRefused("wrong_state", [[lease.objection === null, "it was objected to before"]]) ??
    firstRefused("bad_payload", [
      [BigInt(expectedDueNanos) <= BigInt(lease.holdNanos), "nobody can owe more than was held"],
      [expectedDueNanos !== end.dueNanos, "the settlement says just that: there is nothing to object to"],
    ]);
  if (wrong) return wrong;
  const depositNanos = objectionDepositNanos(end.dueNanos, expectedDueNanos).toString();
  return taken({ ...lease, state: "disputed", objection: { by: asCustomer ? "customer" : "owner", at, depositNanos, expectedDueNanos } });
}

interface Conclusion {
  ownerNanos: bigint;
  judgement?: FinalMoney["judgement"];
  stakeTo?: FinalMoney["stakeTo"];
  /** Who gets what the customer put down for its doubt. */
  traceTo?: "customer" | "owner";
  /** Who gets what an objector put down; absent: it comes back. */
  objectionTo?: "customer" | "owner";
  wronged?: string;
  why: string;
}

/** How the money of a settled lease goes when the owner keeps `ownerNanos` of its pay: the broker's fee shrinks with it. */
export function concluded(
  lease: Lease,
  { ownerNanos, judgement = "none", stakeTo = "owner", traceTo = "customer", objectionTo, wronged, why }: Conclusion,
): Step {
  const end = endOfLease(lease);
  const [pendingOwner, pendingFee] = [BigInt(end.ownerNanos), BigInt(end.feeNanos)];
  const feeNanos = pendingOwner === 0n ? pendingFee : (pendingFee * ownerNanos) / pendingOwner;
  const { trace, objection } = lease;
  const deposits: FinalMoney["deposits"][number][] = [];
  if (trace) deposits.push({ from: "customer", to: traceTo, nanos: trace.depositNanos, of: "trace" });
  if (objection) deposits.push({ from: objection.by, to: objectionTo ?? objection.by, nanos: objection.depositNanos, of: "objection" });
  const final: FinalMoney = {
    ownerNanos: ownerNanos.toString(),
    feeNanos: feeNanos.toString(),
    backNanos: (pendingOwner - ownerNanos + (pendingFee - feeNanos)).toString(),
    ...{ deposits, stakeTo, wronged: wronged ?? null, judgement, why },
  };
  return taken({ ...lease, state: "final", final });
}

/** The operator decides an objection: how much of the pending pay the owner keeps. Who was wrong loses the deposit. */
export function rule(lease: Lease, { at, content }: FactOf<"ruling">): Step {
  const { objection } = lease;
  const late = inWindow(lease, at);
  if (late) return late;
  if (!objection) return refused("wrong_state", "nobody has objected");
  const [ownerNanos, pending] = [BigInt(content.ownerNanos), BigInt(endOfLease(lease).ownerNanos)];
  if (ownerNanos > pending) return refused("bad_payload", `the owner keeps at most ${pending}`, { path: "ownerNanos" });
  const borneOut = objection.by === "customer" ? ownerNanos < pending : ownerNanos === pending;
  const other = objection.by === "customer" ? "owner" : "customer";
  return concluded(lease, { ownerNanos, objectionTo: borneOut ? objection.by : other, why: "the operator has ruled" });
}

/** What a doubt costs until it is decided: where the server runs the job again, as much as that may cost it. */
function doubtDepositNanos({ price }: Lease, { dueNanos }: LeaseEnd, step: string | null): string {
  if (step === null) return objectionDepositNanos(dueNanos, "0").toString();
  return disputeDepositNanos(BigInt(dueNanos), priceVectorOf(price)).toString();
}

/** Why a server cannot be asked for states so far apart; null where it can, or is not asked. */
function stepProblem({ result, resources }: Lease, step: string | null): LeaseRefusal | null {
  const [fuel, most] = [BigInt(result?.fuel ?? 0), traceRootsMax(resources.memoryMib)];
  if (step === null || (BigInt(step) >= 1n && fuel / BigInt(step) <= BigInt(most))) return null;
  return refused("bad_payload", `must make at most ${most} breakpoints of ${fuel} fuel`, { path: "step" });
}

/**
 * The customer doubts the result: a referee is to run the job, of a long one a segment, for which its server runs it again with
 * breakpoints and signs their roots. A referee's own run is judged by an appeal alone: doubts about doubts would have no end.
 */
export function requestTrace(lease: Lease, { id, at, content }: FactOf<"trace-request">): Step {
  const { trace } = lease;
  const late = inWindow(lease, at);
  if (late) return late;
  if (trace) return refused("wrong_state", "it was doubted before");
  if (lease.judges !== null) return refused("not_comparable", "a referee's run is judged by an appeal alone");
  const { step } = content;
  const unfit = (step === null ? incomparable(lease) : untraceable(lease)) ?? stepProblem(lease, step);
  if (unfit) return unfit;
  const depositNanos = doubtDepositNanos(lease, endOfLease(lease), step);
  return taken({ ...lease, state: "disputed", trace: { request: id, step, at, depositNanos, document: null, answeredAt: null } });
}

export function answerTrace(lease: Lease, { id, at, content }: FactOf<"trace">): Step {
  const { trace, result } = lease;
  const late = inWindow(lease, at);
  if (late) return late;
  if (!trace || !owesTrace(lease)) return refused("wrong_state", "no trace was asked for, or it was given");
  const asked =
    content.server === lease.server &&
    content.request === trace.request &&
    content.step === trace.step &&
    content.jobHash === lease.jobHash &&
    content.engine === result?.engine;
  if (!asked) return refused("result_mismatch", "the trace is not what was asked for");
  return taken({ ...lease, trace: { ...trace, document: id, answeredAt: at } });
}

/** A referee's result is brought. Where it differs, the broker's verdict follows; where it agrees, a dispute that is under way ends. */
export function dispute(lease: Lease, { at, content }: FactOf<"dispute">): Step {
  const unfit = inWindow(lease, at) ?? incomparable(lease);
  if (unfit) return unfit;
  if (!lease.draw || owesTrace(lease)) return refused("wrong_state", "there is nothing for a referee to judge yet");
  switch (content.finding) {
    case "not-comparable":
      return refused("not_comparable", "the two results cannot decide a dispute");
    case "differs":
    case "unknown":
      return taken(lease);
    case "agrees":
      // one right segment says nothing of the others, so it ends nothing
      if (!content.whole) return refused("result_agrees", "the referee came to the same result");
      return concluded(lease, {
        ownerNanos: BigInt(endOfLease(lease).ownerNanos),
        judgement: "right",
        traceTo: "owner",
        why: "the referee agrees",
      });
  }
}

/** What a verdict must say of the money, whoever it is about. */
function verdictProblem(lease: Lease, { content }: FactOf<"verdict">): LeaseRefusal | null {
  const end = endOfLease(lease);
  if (content.finding !== "differs") return refused("not_comparable", "the two results in the verdict do not convict its server");
  const back = BigInt(end.ownerNanos) + BigInt(end.feeNanos);
  if (BigInt(content.refundNanos) !== back)
    return refused("bill_mismatch", `the verdict gives back ${content.refundNanos}, ${back} was paid`);
  if (content.slashedNanos !== lease.stakeNanos) return refused("bill_mismatch", "the stake that is taken is not the one that was locked");
  return null;
}

/**
 * Only a proven lie takes stake: the pay goes back, and what was locked for the lease goes to its customer once its owner may not appeal
 * any more. Who judges is drawn. A judging lease that a later referee contradicts is convicted for good, however long that took: its stake
 * goes to whom it had convicted.
 */
export function convict(lease: Lease, fact: FactOf<"verdict">): Step {
  const { id, at, content } = fact;
  const { draw, judges, customer } = lease;
  if (judges !== null) {
    const wrong = verdictProblem(lease, fact);
    return wrong ?? concludedByVerdict(lease, { stakeTo: "wronged", wronged: content.slashedTo, why: "a second referee proved it wrong" });
  }
  const unfit = inWindow(lease, at) ?? incomparable(lease);
  if (unfit) return unfit;
  if (!draw || owesTrace(lease) || draw.round !== content.round || draw.referee !== content.referee)
    return refused("not_drawn", "its referee is not the one that was drawn", {
      round: draw?.round ?? null,
      referee: draw?.referee ?? null,
    });
  const wrong = verdictProblem(lease, fact);
  if (wrong) return wrong;
  if (content.slashedTo !== customer) return refused("bill_mismatch", "the stake does not go to its customer");
  const step = concludedByVerdict(lease, { stakeTo: "locked", why: "the referee proved it wrong" });
  return step.ok ? taken({ ...step.lease, state: "convicted", verdict: { id, round: draw.round, at } }) : step;
}

function concludedByVerdict(lease: Lease, how: Pick<Conclusion, "stakeTo" | "wronged" | "why">): Step {
  const step = concluded(lease, { ownerNanos: 0n, judgement: "wrong", objectionTo: "customer", ...how });
  if (!step.ok || !step.lease.final) return step;
  // nothing of a lie's price stays with the broker, also where the owner's part was nothing
  const { end } = step.lease;
  const backNanos = (BigInt(end?.ownerNanos ?? 0) + BigInt(end?.feeNanos ?? 0)).toString();
  return taken({ ...step.lease, final: { ...step.lease.final, feeNanos: "0", backNanos } });
}

/** A verdict that nobody may appeal against any more. */
export const standing = (lease: Lease, why: string): Lease | null =>
  lease.final && { ...lease, state: "final", final: { ...lease.final, stakeTo: "customer", why } };

/**
 * What the passing of a deadline makes of a settled, disputed or convicted lease; null while it has not passed. The server's silence
 * forfeits its pay, the customer's leaves the owner what it earned and the deposit; the operator's leaves everything as the settlement
 * says; that of who was convicted lets the verdict stand.
 */
export function quietEnd(lease: Lease, at: number): Lease | null {
  const deadline = deadlineOf(lease);
  if (!lease.end || deadline === null || at < deadline) return null;
  if (lease.state === "convicted") return standing(lease, "the referee proved it wrong, and nobody has shown otherwise in time");
  if (lease.state !== "settled" && lease.state !== "disputed") return null;
  const earned = BigInt(lease.end.ownerNanos);
  const unanswered = owesTrace(lease);
  const why = unanswered
    ? "the server did not answer in time"
    : lease.trace
      ? "its customer did not follow up"
      : "nobody objected in time, or was ruled on";
  const step = concluded(lease, { ownerNanos: unanswered ? 0n : earned, traceTo: unanswered ? "customer" : "owner", why });
  return step.ok ? step.lease : null;
}
