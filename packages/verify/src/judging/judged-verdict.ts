/**
 * What the two signed results inside a verdict come to: whoever has the verdict and what its lease is made of comes to the same. Who
 * controls the inputs: the broker (the verdict), both servers (their results, the trace).
 */
import type { Finding, Lease } from "@xenoservers/market";
import { isSameSigned, parseDocumentOf, type Payload, type SignedDocument, type Verified } from "@xenoservers/protocol";
import type { FactWorld } from "../facts/facts.ts";
import { judgeReferees } from "./judged-review.ts";
import { judge, type Judgement } from "./judgement.ts";
import { rulingProblem } from "./ruling-problem.ts";

/** What the results inside a verdict come to; `why`: why they do not convict, `ruling`: the referee's result where they do. */
export type JudgedVerdict =
  | { finding: Exclude<Finding, "differs">; why: string }
  | { finding: "differs"; why: null; difference: string; ruling: SignedDocument<"result"> };

const cannot = (why: string): JudgedVerdict => ({ finding: "not-comparable", why });

/** By the whole job or one segment of it; of a lease that judged itself, by a later referee's result of the same run. */
function judgementOf(
  { crypto }: FactWorld,
  { payload }: Verified<"verdict">,
  lease: Lease,
  accused: Payload<"result">,
  ruling: Payload<"result">,
): Judgement {
  if (lease.judges !== null) return judgeReferees(accused, ruling, lease);
  const none = (why: string): Judgement => ({ ok: false, why });
  const trace = payload.trace === null ? null : parseDocumentOf(crypto, "trace", payload.trace);
  if ((payload.segment === null) !== (trace === null)) return none("a trace belongs to a verdict about one segment, and to no other");
  if (trace && (!trace.ok || trace.document.id !== lease.trace?.document))
    return none("the trace in the verdict is not the one that the server signed for this lease");
  const part = payload.segment === null ? null : { trace: trace?.ok ? trace.document.payload : null, segment: payload.segment };
  return judge(crypto, accused, ruling, lease, part);
}

/** `accused`: the lease's own result; `lease`: as it was folded so far. */
export function judgeVerdict(
  world: FactWorld,
  verdict: Verified<"verdict">,
  lease: Lease | null,
  accused: Verified<"result"> | null,
): JudgedVerdict {
  const { payload } = verdict;
  const [stated, ruling] = [payload.result, payload.ruling].map((envelope) => parseDocumentOf(world.crypto, "result", envelope));
  if (!stated?.ok || !ruling?.ok) return cannot("the verdict does not hold two signed results");
  if (!lease || !accused || !isSameSigned(world.crypto, payload.result, accused))
    return cannot("the verdict judges another result than this lease's");
  const wrong = rulingProblem(world, payload, ruling.document, lease);
  if (wrong !== null) return cannot(wrong);
  const judgement = judgementOf(world, verdict, lease, accused.payload, ruling.document.payload);
  if (!judgement.ok) return cannot(judgement.why);
  const { difference } = judgement;
  if (difference === null) return { finding: "agrees", why: "the referee came to the same result" };
  if (difference !== payload.why) return cannot("the two results do not differ as the verdict says");
  return { finding: "differs", why: null, difference, ruling: ruling.document };
}
