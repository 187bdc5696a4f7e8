/**
 * The referee's run of a doubted job: ordered on the server whose turn it is, which the client recomputes, and on the next one where that
 * fails. Who controls the inputs: the broker (whose turn it is, why another's), the referees (what their runs come to).
 */
import { REFEREES_MAX, drawReferee, refereeFailed } from "@xenoservers/market";
import { refuse, segmentHashOf, type LeaseView, type Payload } from "@xenoservers/protocol";
import type { BuiltWork } from "./built.ts";
import type { MarketClient } from "./client.ts";
import { AbortedError, BrokenWordError, GivenUpError, RefusedError } from "./errors.ts";
import { unlessOff } from "./calling-off.ts";
import { refereeAssurances, refereeOrder } from "./dispute-terms.ts";
import { placeOrder } from "./placing.ts";
import type { BoundOrder } from "./purchase-order.ts";
import { endOf } from "./session/end-of.ts";
import { openSession } from "./session/open-session.ts";

/** Whose turn it was, and the lease of its run. */
export interface RefereeRun {
  refereeLease: string;
  referee: string;
  round: number;
  /** Who did not come to a result before, and why. */
  passed: readonly { referee: string; why: string }[];
}

interface RunWanted {
  /** The lease whose result is judged, and the order that it came from. */
  lease: string;
  order: Payload<"order">;
  /** The same job, or the one segment that decides. */
  job: BuiltWork;
  budgetNanos: bigint;
  /** Ends the wait, and the referee's run with it. */
  signal?: AbortSignal;
}

interface Turn {
  referee: string;
  round: number;
}

/** Whose turn the broker says it is, where that follows from the settlement. Throws where it does not: such a broker chooses the judge. */
function checkedTurn({ id, settlement, draw }: LeaseView, { referee, round }: Turn): Turn {
  const { candidates = [] } = draw ?? {};
  const right = settlement !== null && candidates.length <= REFEREES_MAX && drawReferee(settlement, candidates, round) === referee;
  if (!right) throw new BrokenWordError(`the broker names a referee for lease ${id.slice(0, 12)} that was not drawn`);
  return { referee, round };
}

/** What a refusal says of whose turn it is; null where it is about something else. */
function turnIn(error: unknown): Turn | null {
  if (!(error instanceof RefusedError) || error.refusal.code !== "not_drawn") return null;
  const { referee, round } = error.refusal.facts;
  return typeof referee === "string" && typeof round === "number" ? { referee, round } : null;
}

/** Under the assurance that locks the referee's stake, where it has one. */
async function orderOn(client: MarketClient, { lease, order, job, budgetNanos }: RunWanted, referee: string): Promise<BoundOrder> {
  const { segment } = job;
  const jobHash = segment ? segmentHashOf(client.crypto, job.jobHash, segment.segment) : job.jobHash;
  let last = refuse("no_referee");
  for (const assurance of refereeAssurances(order)) {
    try {
      return await placeOrder(client, refereeOrder({ order, referee, budgetNanos, job, judges: lease, assurance }), jobHash);
    } catch (error) {
      if (!(error instanceof RefusedError) || !["no_match", "busy"].includes(error.refusal.code)) throw error;
      last = error.refusal;
    }
  }
  throw new RefusedError(last);
}

async function ended(client: MarketClient, bound: BoundOrder, job: BuiltWork, signal: AbortSignal | undefined): Promise<LeaseView> {
  const { session, close } = openSession(client, bound, job, {});
  try {
    return await unlessOff(signal, endOf(session));
  } catch (error) {
    if (!(error instanceof AbortedError)) throw error;
    // a referee's run that nobody waits for would be paid all the same
    throw new GivenUpError(session.lease, await session.withdraw("its customer has called it off"), error.cause);
  } finally {
    close();
  }
}

/** Why this end is the referee's own failure; null where it came to what it could. */
function failureOf({ state, end }: LeaseView): string | null {
  if (state === "lapsed") return "it did not accept the run";
  return end && refereeFailed(end.reason) ? `its run ended with ${end.reason}` : null;
}

/** Who follows on a referee that has judged; the broker may say another, where that one cannot. */
export function drawNext({ settlement, draw }: LeaseView): Turn {
  const round = (draw?.round ?? 0) + 1;
  const referee = settlement === null ? null : drawReferee(settlement, draw?.candidates ?? [], round);
  if (referee === null) throw new RefusedError(refuse("no_referee", { why: "every referee of this lease has had its turn" }));
  return { referee, round };
}

/**
 * The run of whose turn it is, settled; `first`: where that is not who judges now. Throws RefusedError, `no_referee` where nobody is
 * left, and GivenUpError where it is called off.
 */
export async function refereeRun(client: MarketClient, wanted: RunWanted, first: Turn | null = null): Promise<RefereeRun> {
  const passed: { referee: string; why: string }[] = [];
  let turn = first;
  for (let tries = 0; tries <= 2 * REFEREES_MAX; tries++) {
    const view: LeaseView = await client.read("lease", { params: { id: wanted.lease } });
    turn = checkedTurn(view, turn ?? { referee: view.draw?.referee ?? "", round: view.draw?.round ?? 0 });
    let bound: BoundOrder;
    try {
      bound = await orderOn(client, wanted, turn.referee);
    } catch (error) {
      const next = turnIn(error);
      if (next === null || next.referee === turn.referee) throw error;
      turn = next;
      continue;
    }
    const over = await ended(client, bound, wanted.job, wanted.signal);
    const why = failureOf(over);
    if (why === null) return { refereeLease: over.id, ...turn, passed };
    passed.push({ referee: turn.referee, why });
  }
  throw new RefusedError(refuse("no_referee", { lease: wanted.lease, why: "none of the referees came to a result" }));
}
