/** A lease as its parties see it through the API. */
import { costPerHourNanos, judgeBy, leastExtendedMs, owesTrace, priceVectorOf } from "@xenoservers/market";
import type { LeaseView } from "@xenoservers/protocol";
import type { LeaseRow } from "../store/store.ts";

export function leaseView(lease: LeaseRow): LeaseView {
  const { id, orderId, attempt, state, customer, owner, server, label, terms, resources, price, durationMsMax, fuelMax, holdNanos } = lease;
  const { issuedAt, openedAt, lastAmendment, trace, objection, delivery, deadlineAt, settlement, judges, draw } = lease;
  const result = lease.result && { id: lease.result.id, reason: lease.result.reason, exitCode: lease.result.exitCode, at: lease.result.at };
  return {
    ...{ id, orderId, attempt, state, customer, owner, server, label, terms, resources, price, durationMsMax, fuelMax, holdNanos },
    leastExtendedMs: leastExtendedMs(lease),
    ...{ issuedAt, openedAt, lastAmendment, result, delivery, deadlineAt, auditPpm: lease.auditPpm, stakeNanos: lease.stakeNanos },
    objection: objection && { by: objection.by, depositNanos: objection.depositNanos, at: objection.at },
    trace: trace && { depositNanos: trace.depositNanos, answered: !owesTrace(lease), deadlineAt },
    ...{ settlement, judges },
    draw: draw && { round: draw.round, referee: draw.referee, candidates: [...draw.candidates], by: judgeBy(lease) },
    end: lease.end && { ...lease.end, exitCode: result?.exitCode ?? null, result: result?.id ?? null },
    ratePerHourNanos: costPerHourNanos(terms, resources, priceVectorOf(price)).toString(),
    usedMs: lease.end?.billableMs ?? lease.lastClaim?.usedMs ?? 0,
  };
}
