/**
 * Orders for a referee's run. A referee takes nothing else; a run is ordered by the customer that doubts the lease, or on appeal by its
 * convicted owner, on the referee whose turn it is, one at a time. Who controls the inputs: whoever orders (every field), the referee's
 * owner (what it lists).
 */
import { isLive, judgeBy, sameResources } from "@xenoservers/market";
import { refuse, type Refusal, type SignedDocument } from "@xenoservers/protocol";
import type { LeaseRow } from "../store/store.ts";
import { LeaseChange, findLease } from "./folding.ts";
import { drawn, nextTurn, refereeProblem, unfitness } from "./referees.ts";
import type { Round } from "./round.ts";

type Order = SignedDocument<"order">["payload"];

/** The lease that is judged, with what follows for it from the order. */
export interface Judged {
  ok: true;
  change: LeaseChange;
  /** The only server that may be bound. */
  referee: string;
}

/** Whether its state lets this party order a run now. */
function partyProblem({ state, trace, customer, owner, id }: LeaseRow, party: string): Refusal | null {
  const isDoubted = state === "disputed" && trace !== null;
  if (!isDoubted && state !== "convicted") return refuse("wrong_state", { lease: id, state, why: "nobody has doubted its result" });
  const whose = isDoubted ? customer : owner;
  return whose === party
    ? null
    : refuse("not_yours", { lease: id, why: `a ${state} lease is judged for its ${isDoubted ? "customer" : "owner"}` });
}

/** A referee runs just this job, or a segment of it, under the limits that room was kept for. */
function jobProblem(lease: LeaseRow, order: Order): Refusal | null {
  const isSame =
    order.driver === lease.driver && sameResources(order.resources, lease.resources) && (order.segment || order.jobHash === lease.jobHash);
  return isSame ? null : refuse("bad_payload", { path: "judges", why: "the order is not for that lease's job with its resources" });
}

/** The run that was ordered before, while it may still decide: one at a time. */
async function earlierProblem(round: Round, { id, draw, judgedBy: { latest } }: LeaseRow): Promise<Refusal | null> {
  const run = latest === null ? null : ((await round.get("lease", latest))?.data ?? null);
  if (!run || run.server !== draw?.referee || !isLive(run.state)) return null;
  return refuse("conflict", { lease: id, refereeLease: run.id, why: "its referee is at work" });
}

/** Why another referee has to be drawn; null where the one of now may run it. */
async function redrawReason(round: Round, lease: LeaseRow): Promise<string | null> {
  const { draw, verdict, state } = lease;
  if (!draw || (state === "convicted" && draw.round === verdict?.round)) return "it has judged";
  return (await refereeProblem(round, lease)) ?? unfitness(round, lease, draw.referee);
}

const namesServer = ({ conditions }: Order, server: string): boolean =>
  conditions.some(({ key, op, value }) => key === "server" && op === "=" && value === server);

/** Whose turn it is for this order; where it is another's than the order names, that is said and nothing is done. */
export async function judgedBy(round: Round, { payload: order }: SignedDocument<"order">, lease: string): Promise<Judged | Refusal> {
  const found = await findLease(round, lease, ({ customer, owner }) => customer === order.party || owner === order.party);
  if (!found.ok) return found;
  const change = await LeaseChange.of(round, found.lease);
  const problem = partyProblem(change.lease, order.party) ?? jobProblem(change.lease, order) ?? (await earlierProblem(round, change.lease));
  if (problem) return problem;
  const by = judgeBy(change.lease);
  if (by === null) return refuse("too_early", { lease, why: "its server still owes the states of its run" });
  if (change.at > by) return refuse("too_late", { lease, judgeBy: by });
  const why = await redrawReason(round, change.lease);
  const turn = why === null ? null : await nextTurn(round, change.lease, why);
  const referee = turn ? turn.referee : (change.lease.draw?.referee ?? null);
  if (referee === null) return refuse("no_referee", { lease, why: "no other referee can judge it now" });
  if (!namesServer(order, referee)) return refuse("not_drawn", { lease, referee, round: turn?.round ?? change.lease.draw?.round ?? 0 });
  if (turn) drawn(change, turn);
  change.seatOn(null);
  return { ok: true, change, referee };
}
