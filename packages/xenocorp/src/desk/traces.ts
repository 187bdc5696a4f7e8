/**
 * Doubts: a referee is drawn and room is kept on it before anything is frozen; of a long job the server is asked for the roots of its
 * states at checkpoints, inside a deadline in log time. Silence forfeits the pay; only a proven lie takes stake. Who controls the inputs:
 * the customer (request, step), the server (roots, every one of them).
 */
import { refuse, type Verified } from "@xenoservers/protocol";
import { boundProblem, type PartyCaller } from "./caller.ts";
import { LeaseChange, bothParties, findLease } from "./folding.ts";
import type { Outcome } from "./outcome.ts";
import { drawn, nextTurn } from "./referees.ts";
import type { Round } from "./round.ts";

export async function requestTrace(round: Round, document: Verified<"trace-request">, caller: PartyCaller): Promise<Outcome> {
  const { lease: id, party } = document.payload;
  const bound = boundProblem(caller.key);
  if (bound) return bound;
  const found = await findLease(round, id, (lease) => lease.customer === party);
  if (!found.ok) return found;
  const change = await LeaseChange.of(round, found.lease);
  const refusal = change.take(document);
  if (refusal) return refusal;
  const turn = await nextTurn(round, change.lease, null);
  if (turn.referee === null) return refuse("no_referee", { lease: id, why: whyNobody(turn.passed) });
  drawn(change, turn);
  const answerBy = change.row.deadlineAt;
  const { referee, round: number } = turn;
  return change.planned({
    id: document.id,
    answer: { answerBy, depositNanos: change.lease.trace?.depositNanos ?? "0", referee, round: number, passed: turn.passed },
    events: bothParties(change.lease).map((to) => ({
      party: to,
      kind: "lease-trace-requested",
      lease: id,
      data: { answerBy, referee, round: number },
    })),
  });
}

const whyNobody = (passed: readonly { referee: string; why: string }[]): string =>
  passed.length === 0
    ? "the operator had named no referee of another owner when the lease was settled"
    : passed.map(({ referee, why }) => `${referee.slice(0, 12)}: ${why}`).join("; ");

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
