/**
 * What a referee's signed result comes to beside an accused server's, where its customer has brought it. Broker, customer, the accused
 * server and whoever has the receipt find it by the same two documents: that the results agree is nobody's bare word. Who controls the
 * inputs: the customer (the dispute), both servers (their results, the trace).
 */
import type { Finding, Lease } from "@xenoservers/market";
import { parseDocumentOf, type Payload, type SignedDocument, type Verified } from "@xenoservers/protocol";
import type { FactWorld } from "../facts/facts.ts";
import type { Under } from "./comparison.ts";
import { judge, type Judgement } from "./judgement.ts";
import { rulingProblem } from "./ruling-problem.ts";

/** Whose result is judged, and under what it ran. */
export type Accused = Under & Pick<Lease, "server" | "owner" | "customer">;

/** The finding, and in words where the results differ, or why they decide nothing. */
export interface JudgedDispute {
  finding: Finding;
  why: string | null;
  /** The referee's result, where it decides something. */
  ruling: SignedDocument<"result"> | null;
}

/** A referee's result over an accused one; `part`: of the one segment that it ran, null of the whole job. */
export function judgeRuling(
  world: FactWorld,
  accused: Accused,
  referee: string,
  result: Payload<"result">,
  ruling: SignedDocument<"result">,
  part: { trace: Payload<"trace"> | null; segment: number } | null,
): Judgement {
  const wrong = rulingProblem(world, { referee, server: accused.server, owner: accused.owner }, ruling, accused);
  return wrong === null ? judge(world.crypto, result, ruling.payload, accused, part) : { ok: false, why: wrong };
}

/** `lease`: as it was folded so far; `result`, `trace`: what its server has signed for it. Unknown where the dispute does not show it. */
export function judgeDispute(
  world: FactWorld,
  { payload }: Verified<"dispute">,
  lease: Lease | null,
  result: SignedDocument<"result"> | null,
  trace: SignedDocument<"trace"> | null,
): JudgedDispute {
  const cannot = (why: string): JudgedDispute => ({ finding: "not-comparable", why, ruling: null });
  if (payload.ruling === null) return { finding: "unknown", why: null, ruling: null };
  const ruling = parseDocumentOf(world.crypto, "result", payload.ruling);
  if (!ruling.ok) return cannot("the dispute does not hold a referee's signed result");
  const referee = lease?.draw?.referee ?? null;
  if (!lease || !result || result.id !== lease.result?.id) return cannot("the lease has no result that could be judged");
  if (referee === null) return cannot("no referee was drawn for this lease");
  if (payload.segment !== null && (!trace || trace.id !== lease.trace?.document))
    return cannot("the trace is not the one that the server signed for this lease");
  const part = payload.segment === null ? null : { trace: trace?.payload ?? null, segment: payload.segment };
  const judgement = judgeRuling(world, lease, referee, result.payload, ruling.document, part);
  if (!judgement.ok) return cannot(judgement.why);
  return { finding: judgement.difference === null ? "agrees" : "differs", why: judgement.difference, ruling: ruling.document };
}
