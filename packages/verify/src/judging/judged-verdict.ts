/**
 * What the two signed results inside a verdict come to: whoever has the verdict and what its lease is made of comes to the same. Who
 * controls the inputs: the broker (the verdict), both servers (their results, the trace).
 */
import type { Finding, Lease } from "@xenoservers/market";
import { parseDocumentOf, serverIdOf, verifySigner, type SignedDocument, type Verified } from "@xenoservers/protocol";
import type { FactWorld } from "../facts/facts.ts";
import { judge } from "./judgement.ts";

/** What the results inside a verdict come to; `why`: why they do not convict, `ruling`: the referee's result where they do. */
export type JudgedVerdict =
  | { finding: Exclude<Finding, "differs">; why: string }
  | { finding: "differs"; why: null; difference: string; ruling: SignedDocument<"result"> };

const cannot = (why: string): JudgedVerdict => ({ finding: "not-comparable", why });

/** Why the referee's result is not one that may decide over this lease; null when it is. */
function rulingProblem(
  { crypto, market, keyOf }: FactWorld,
  verdict: Verified<"verdict">,
  ruling: SignedDocument<"result">,
  lease: Lease,
): string | null {
  const { referee, server, owner } = verdict.payload;
  const key = keyOf(ruling.keyid);
  const checks: readonly (readonly [right: boolean, why: string])[] = [
    [server === lease.server && owner === lease.owner, "the verdict is about another server"],
    [serverIdOf(crypto, ruling.keyid) === referee && ruling.payload.server === referee, "the ruling is not signed by the referee it names"],
    [ruling.payload.origin === market.origin, "the ruling is of another market"],
    [referee !== lease.server && key?.party !== lease.owner, "a referee does not judge its own owner"],
    [key === null || verifySigner(ruling, { crypto, market, key, at: 0 }).ok, "the referee's key is no server's"],
  ];
  return checks.find(([right]) => !right)?.[1] ?? null;
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
  if (!lease || !accused || stated.document.id !== accused.id) return cannot("the verdict judges another result than this lease's");
  const wrong = rulingProblem(world, verdict, ruling.document, lease);
  if (wrong !== null) return cannot(wrong);
  const trace = payload.trace === null ? null : parseDocumentOf(world.crypto, "trace", payload.trace);
  if ((payload.segment === null) !== (trace === null)) return cannot("a trace belongs to a verdict about one segment, and to no other");
  if (trace && (!trace.ok || trace.document.id !== lease.trace?.document))
    return cannot("the trace in the verdict is not the one that the server signed for this lease");
  const part = payload.segment === null ? null : { trace: trace?.ok ? trace.document.payload : null, segment: payload.segment };
  const judgement = judge(world.crypto, accused.payload, ruling.document.payload, lease, part);
  if (!judgement.ok) return cannot(judgement.why);
  const { difference } = judgement;
  if (difference === null) return { finding: "agrees", why: "the referee came to the same result" };
  if (difference !== payload.why) return cannot("the two results do not differ as the verdict says");
  return { finding: "differs", why: null, difference, ruling: ruling.document };
}
