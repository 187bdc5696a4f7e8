/** What happens when nobody says anything: the broker's timers. Any replica may run them; each step is conditional on the state it was set for. */
import type { EndReason } from "@xenoservers/market";
import { closeBatch, sweepBatch } from "./accounts.ts";
import { lapse, release, settleLease } from "./leases.ts";
import { placeAgain } from "./orders.ts";
import { commitmentDue } from "./replicas.ts";
import type { Outcome } from "./outcome.ts";
import { traceDue } from "./traces.ts";
import type { LeaseRow } from "../store/store.ts";
import type { Round } from "./round.ts";

/** Why a silent lease ended. On result, a stop without a result manifest is the owner's silence: nothing is due (PROTOCOL section 6). */
function silenceReason(lease: LeaseRow): EndReason {
  if (lease.state === "stopping" && lease.terms === "by-interval") return lease.stopReason!;
  return (lease.lastClaim?.usedMs ?? 0) > 0 ? "server-unreachable" : "not-started";
}

/** The changes that a due lease needs, one after the other; empty when it is not due any more. */
export async function leaseDue(round: Round, id: string): Promise<Outcome | null> {
  const lease = await round.get("lease", id);
  if (!lease || lease.data.deadlineAt === null || lease.data.deadlineAt > round.at) return null;
  switch (lease.data.state) {
    case "bound":
      return lapse(round, lease, `lapse/${id}`);
    case "open":
    case "stopping":
      if (lease.data.commitment) return commitmentDue(round, lease);
      return settleLease(round, lease, silenceReason(lease.data), null);
    case "settled":
      return release(round, lease, BigInt(lease.data.end!.ownerNanos), { id: `final/${id}`, filed: [] });
    case "disputed":
      return lease.data.trace ? traceDue(round, lease) : null;
    case "final":
    case "lapsed":
      return null;
  }
}

export async function batchDue(round: Round, id: string): Promise<Outcome | null> {
  const batch = await round.get("batch", id);
  if (!batch || batch.data.deadlineAt === null || batch.data.deadlineAt > round.at) return null;
  return batch.data.open ? closeBatch(round, id, null) : sweepBatch(round, id);
}

/** After a lapse that nobody asked for, the order is placed again. */
export async function orderAgain(round: Round, leaseId: string): Promise<Outcome | null> {
  const lease = await round.get("lease", leaseId);
  return lease?.data.state === "lapsed" ? placeAgain(round, lease.data) : null;
}
