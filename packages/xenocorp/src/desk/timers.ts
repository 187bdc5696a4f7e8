/**
 * What happens when nobody says anything: the broker's timers. Any replica may run them; each step is conditional on the state it was set
 * for.
 */
import { REVEAL_CHECK_MS, deadlineOf, isAppealed, owesTrace, quietEnd } from "@xenoservers/market";
import type { LeaseRow, Versioned } from "../store/store.ts";
import { closeBatch, sweepBatch } from "./accounts.ts";
import { LeaseChange } from "./folding.ts";
import { finalEvents, silenced } from "./leases.ts";
import { movedOn } from "./orders.ts";
import { commitmentDue } from "./replicas.ts";
import type { Outcome } from "./outcome.ts";
import { drawn, nextTurn, refereeProblem } from "./referees.ts";
import type { Round } from "./round.ts";

/**
 * The change that a due lease needs; null when it is not due any more. A gap since its timer was set may have moved its deadline.
 * `moves`: an order that its server did not accept goes on to another one in the same change.
 */
export async function leaseDue(round: Round, id: string, moves: boolean): Promise<Outcome | null> {
  const found = await round.get("lease", id);
  if (!found || found.data.deadlineAt === null || found.data.deadlineAt > round.at) return null;
  if (found.data.state === "committed") return commitmentDue(round, found);
  const change = await LeaseChange.of(round, found);
  const deadline = deadlineOf(change.lease);
  const waitUntil = await appealBy(round, change.lease);
  if (waitUntil !== null) return change.planned({ id: `timer/${id}/${found.version}`, lookAt: waitUntil });
  if (deadline === null || deadline > change.at) return change.planned({ id: `timer/${id}/${found.version}` });
  const done = await concluded(round, change, found);
  return moves && done.ok && change.lease.state === "lapsed" ? movedOn(round, change.lease, done) : done;
}

/** Until when a run that has judged may still be shown to be wrong: its pay and stake wait so long. Null: nobody waits for it. */
async function appealBy(round: Round, { id, judges, state }: LeaseRow): Promise<number | null> {
  const judged = judges !== null && state === "settled" ? await round.get("lease", judges) : null;
  if (!judged || (judged.data.state !== "disputed" && judged.data.state !== "convicted")) return null;
  const { latest, convicting } = judged.data.judgedBy;
  if (id !== latest && id !== convicting) return null;
  return Math.max(judged.data.deadlineAt ?? 0, round.at + REVEAL_CHECK_MS);
}

/** A referee that was silent costs nobody but itself: the next one is drawn. */
async function concluded(round: Round, change: LeaseChange, found: Versioned<LeaseRow>): Promise<Outcome> {
  const { state, trace } = change.lease;
  const isJudged =
    (state === "disputed" && trace !== null && !owesTrace(change.lease)) || (state === "convicted" && isAppealed(change.lease));
  const why = isJudged ? await refereeProblem(round, change.lease) : null;
  if (why !== null) {
    drawn(change, await nextTurn(round, change.lease, why));
    const { id, draw } = change.lease;
    return change.planned({ id: `draw/${id}/${draw?.round ?? 0}/${found.version}`, events: finalEvents(change.lease, { why }) });
  }
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
