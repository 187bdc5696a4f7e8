/** From purchase order to open lease. */
import { DRIVERS } from "../drivers.ts";
import { asksForFetch } from "../fetching.ts";
import { bindingProblem } from "./binding.ts";
import { acceptByOf } from "./deadlines.ts";
import type { FactOf } from "./facts.ts";
import type { Lease } from "./lease.ts";
import { refused, taken, type Step } from "./refusal.ts";

/** The beginning of every lease. */
export function bind({ id, at, content }: FactOf<"purchase-order">): Step {
  const why = bindingProblem(content);
  if (why !== null) return refused("po_mismatch", why);
  const { payload: po, order, offer } = content;
  if (po.issuedAt !== at) return refused("po_mismatch", "the purchase order's time is not the log's");
  const fetches = asksForFetch(order.payload.conditions);
  const { conditions, accel, on, stays } = order.payload;
  const { replicas, label, jobHash, segment, judges, driver, assurance, egress, auditSalt } = order.payload;
  const { orderId, offerId, slot, attempt, customer, account, owner, server, serverKey, resources, price, terms } = po;
  const { durationMsMax, fuelMax, egressMibMax, timeBound, fuelBound, holdNanos, cancellationNanos, stakeNanos, feeBasisPoints } = po;
  const { timings, issuedAt, acceptBy, startBy, auditPpm, auditReserveNanos } = po;
  const lease: Lease = {
    ...{
      id,
      state: "bound",
      orderId,
      offerId,
      slot,
      attempt,
      replicas,
      customer,
      account,
      label,
      owner,
      server,
      serverKey,
      jobHash,
      segment,
      judges,
    },
    ...{
      driver,
      engine: offer.payload[DRIVERS[driver].engineIn],
      assurance,
      egress,
      fetches,
      resources,
      price,
      terms,
      durationMsMax,
      maxLeaseMs: offer.payload.maxLeaseMs,
      fuelMax,
      egressMibMax,
    },
    ...{ timeBound, fuelBound, holdNanos, cancellationNanos, stakeNanos, feeBasisPoints, timings, issuedAt, acceptBy, startBy },
    ...{ auditSalt, auditPpm, auditReserveNanos },
    ...(stays ? {} : { placing: { conditions, accel, on } }),
    ...{
      gaps: [],
      toldAt: at,
      acceptance: null,
      openedAt: null,
      openingId: null,
      heardAt: issuedAt,
      silentMs: 0,
      lastClaim: null,
      openClaim: null,
      lastAmendment: null,
    },
    ...{ stop: null, commitment: null, result: null, delivery: null, closing: null, settlement: null, end: null },
    ...{ objection: null, trace: null, draw: null, verdict: null, final: null },
  };
  return taken(lease);
}

export function accept(lease: Lease, { id, at, content }: FactOf<"acceptance">): Step {
  if (content.server !== lease.server) return refused("not_yours", "the acceptance is another server's");
  if (lease.state === "lapsed") return refused("too_late", "the order has moved on");
  const until = acceptByOf(lease);
  if (at > until) return refused("too_late", "the acceptance came after its deadline", { acceptBy: until });
  return taken({ ...lease, state: "accepted", acceptance: id });
}

/** No guest starts without it. */
export function open(lease: Lease, { id, at, content }: FactOf<"opening">): Step {
  if (content.acceptance !== lease.acceptance) return refused("conflict", "the opening does not answer this lease's acceptance");
  if (content.order !== lease.orderId || content.slot !== lease.slot) return refused("conflict", "the opening is of another slot");
  if (content.at !== at) return refused("conflict", "the opening's time is not the log's");
  return taken({ ...lease, state: "open", openingId: id, openedAt: at, heardAt: at });
}
