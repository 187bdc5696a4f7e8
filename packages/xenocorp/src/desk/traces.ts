/**
 * Long jobs whose result is doubted: the server is asked for the roots of its states at checkpoints, inside a deadline in log time.
 * Silence forfeits the pay; only a proven lie takes stake. Who controls the inputs: the customer (request, step), the server (roots,
 * every one of them).
 */
import { refuse, type Verified } from "@xenoservers/protocol";
import { boundProblem, type PartyCaller } from "./caller.ts";
import { refereesOf } from "./disputes.ts";
import { LeaseChange, bothParties, findLease } from "./folding.ts";
import type { Outcome } from "./outcome.ts";
import type { Round } from "./round.ts";

export async function requestTrace(round: Round, document: Verified<"trace-request">, caller: PartyCaller): Promise<Outcome> {
  const { lease: id, party } = document.payload;
  const bound = boundProblem(caller.key);
  if (bound) return bound;
  const found = await findLease(round, id, (lease) => lease.customer === party);
  if (!found.ok) return found;
  // nothing is frozen that nobody could decide
  if (!(await mayBeJudged(round, found.lease.data.owner))) return refuse("no_referee", { lease: id });
  const change = await LeaseChange.of(round, found.lease);
  const refusal = change.take(document);
  if (refusal) return refusal;
  const answerBy = change.row.deadlineAt;
  return change.planned({
    id: document.id,
    answer: { answerBy, depositNanos: change.lease.trace?.depositNanos ?? "0" },
    events: bothParties(change.lease).map((to) => ({ party: to, kind: "lease-trace-requested", lease: id, data: { answerBy } })),
  });
}

/** Whether a referee of another owner than the accused has a listed server. */
async function mayBeJudged(round: Round, accused: string): Promise<boolean> {
  const servers = await Promise.all((await refereesOf(round)).map((id) => round.get("server", id)));
  return servers.some((server) => server !== null && server.data.offer !== null && server.data.owner !== accused);
}

export async function receiveTrace(round: Round, document: Verified<"trace">, caller: PartyCaller): Promise<Outcome> {
  const { lease: id, roots } = document.payload;
  const found = await findLease(round, id, (lease) => lease.serverKey === caller.key.id);
  if (!found.ok) return found;
  const change = await LeaseChange.of(round, found.lease);
  const refusal = change.take(document);
  if (refusal) return refusal;
  return change.planned({
    id: document.id,
    events: [{ party: change.lease.customer, kind: "lease-traced", lease: id, data: { roots: roots.length } }],
  });
}
