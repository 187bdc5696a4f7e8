/** A lease as its parties see it through the API. */
import { costPerHourNanos } from "@xenoservers/market";
import type { LeaseView } from "@xenoservers/protocol";
import type { LeaseRow } from "../store/store.ts";
import { priceOf } from "./offer-index.ts";

export function leaseView(lease: LeaseRow): LeaseView {
  const {
    id,
    orderId,
    attempt,
    state,
    customer,
    owner,
    server,
    label,
    terms,
    resources,
    price,
    durationMsMax,
    fuelMax,
    holdNanos,
    issuedAt,
    openedAt,
    lastAmendment,
  } = lease;
  const end = lease.end && { ...lease.end };
  return {
    id,
    orderId,
    attempt,
    state,
    customer,
    owner,
    server,
    label,
    terms,
    resources,
    price,
    durationMsMax,
    fuelMax,
    holdNanos,
    issuedAt,
    openedAt,
    lastAmendment,
    trace: lease.trace && { depositNanos: lease.trace.depositNanos, answered: lease.trace.document !== null, deadlineAt: lease.deadlineAt },
    end,
    ratePerHourNanos: costPerHourNanos(terms, resources, priceOf(price)).toString(),
    usedMs: lease.end?.billableMs ?? lease.lastClaim?.usedMs ?? 0,
  };
}
