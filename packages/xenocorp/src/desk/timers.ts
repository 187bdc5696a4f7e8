/**
 * What happens when nobody says anything: the broker's timers. Any replica may run them; each step is conditional on the state it was set
 * for.
 */
import { deadlineOf, quietEnd } from "@xenoservers/market";
import type { LeaseRow, Versioned } from "../store/store.ts";
import { closeBatch, sweepBatch } from "./accounts.ts";
import { LeaseChange } from "./folding.ts";
import { finalEvents, silenced } from "./leases.ts";
import { placeAgain } from "./orders.ts";
import { commitmentDue } from "./replicas.ts";
import type { Outcome } from "./outcome.ts";
import type { Round } from "./round.ts";

/** The change that a due lease needs; null when it is not due any more. A gap since its timer was set may have moved its deadline. */
export async function leaseDue(round: Round, id: string): Promise<Outcome | null> {
  const found = await round.get("lease", id);
  if (!found || found.data.deadlineAt === null || found.data.deadlineAt > round.at) return null;
  if (found.data.state === "committed") return commitmentDue(round, found);
  const change = await LeaseChange.of(round, found);
  const deadline = deadlineOf(change.lease);
  if (deadline === null || deadline > change.at) return change.planned({ id: `timer/${id}/${found.version}` });
  return concluded(change, found);
}

function concluded(change: LeaseChange, found: Versioned<LeaseRow>): Promise<Outcome> {
  const final = quietEnd(change.lease, change.at);
  if (final === null) return silenced(change, found);
  change.become(final);
  return change.planned({ id: `final/${final.id}`, events: finalEvents(change.lease, {}) });
}

export async function batchDue(round: Round, id: string): Promise<Outcome | null> {
  const batch = await round.get("batch", id);
  if (!batch || batch.data.deadlineAt === null || batch.data.deadlineAt > round.at) return null;
  return batch.data.open ? closeBatch(round, id, null) : sweepBatch(round, id);
}

/** After a lapse that nobody asked for, the order is placed again. */
export async function orderAgain(round: Round, leaseId: string): Promise<Outcome | null> {
  const lease = await round.get("lease", leaseId);
  return lease?.data.state === "lapsed" && lease.data.closing !== null ? placeAgain(round, lease.data) : null;
}
