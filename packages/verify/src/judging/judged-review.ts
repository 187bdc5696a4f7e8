/**
 * The appeal against a verdict: what a second referee's result of the same run comes to, beside the accused server's and beside the first
 * referee's. Who controls the inputs: the broker (review, verdict), all three servers (their results).
 */
import type { Finding, Lease } from "@xenoservers/market";
import { parseDocumentOf, type Crypto, type Payload, type Verified } from "@xenoservers/protocol";
import type { FactWorld } from "../facts/facts.ts";
import { refereeProblem, resultDifference, type Under } from "./comparison.ts";
import { judge, type Judgement } from "./judgement.ts";
import { rulingProblem } from "./ruling-problem.ts";

type Result = Payload<"result">;

const cannot = (why: string): Judgement => ({ ok: false, why });

/** Two referees' results of one job, or of one segment: where they differ, one of the two is wrong. */
export function judgeReferees(first: Result, second: Result, under: Under): Judgement {
  if (first.jobHash !== second.jobHash) return cannot("the two referees ran different jobs");
  if (first.engine !== second.engine) return cannot(`the engines differ: ${first.engine} and ${second.engine}`);
  const [one, other] = [first.stateRoot, second.stateRoot];
  if (one !== null && other !== null) {
    const states = `the server signed state ${one.slice(0, 12)}…, a second referee came to ${other.slice(0, 12)}…`;
    // who shows the right state and says something else of it lies as well: what was stopped is judged by what it had put out
    return { ok: true, difference: one === other ? resultDifference(first, second) : states };
  }
  if (one !== null || other !== null) return cannot("one of the two referees came to no state");
  const unfit = refereeProblem(first, second, under);
  return unfit === null ? { ok: true, difference: resultDifference(first, second) } : cannot(unfit);
}

/** What the second referee says of the accused: of the same run as the first, whole or one segment. */
export function judgeAppeal(crypto: Crypto, accused: Result, verdict: Payload<"verdict">, second: Result, under: Under): Judgement {
  const first = parseDocumentOf(crypto, "result", verdict.ruling);
  const trace = verdict.trace === null ? null : parseDocumentOf(crypto, "trace", verdict.trace);
  if (!first.ok || (trace && !trace.ok)) return cannot("the verdict does not hold what it rests on");
  if (first.document.payload.jobHash !== second.jobHash) return cannot("the second referee ran another job than the first");
  const part = verdict.segment === null ? null : { trace: trace?.document.payload ?? null, segment: verdict.segment };
  return judge(crypto, accused, second, under, part);
}

/** The finding of whoever has the review, the verdict and the accused server's result; `why`: where it decides nothing. */
export function judgeReview(
  world: FactWorld,
  { payload }: Verified<"review">,
  lease: Lease | null,
  accused: Verified<"result"> | null,
  verdict: Verified<"verdict"> | null,
): { finding: Finding; why: string | null } {
  const none = (why: string) => ({ finding: "not-comparable" as const, why });
  const second = parseDocumentOf(world.crypto, "result", payload.ruling);
  if (!second.ok) return none("the review holds no signed result");
  if (!lease || !accused || !verdict || verdict.id !== payload.verdict) return none("the review is of another verdict than this lease's");
  const wrong = rulingProblem(world, payload, second.document, lease);
  if (wrong !== null) return none(wrong);
  const judgement = judgeAppeal(world.crypto, accused.payload, verdict.payload, second.document.payload, lease);
  if (!judgement.ok) return none(judgement.why);
  const isBorneOut = judgement.difference === null;
  if (isBorneOut !== payload.overturned) return none("the results do not come to what the review says");
  return { finding: isBorneOut ? "agrees" : "differs", why: null };
}
