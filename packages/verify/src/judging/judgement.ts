/**
 * A referee's signed result over an accused server's: of the whole job, or of one segment between two states whose roots the accused
 * signed. Broker, customer and anyone with the verdict come to the same. All three documents are their signers' word; the referee's can
 * be run again.
 */
import { TERMS, fuelToRun, proofOf, type Proof } from "@xenoservers/market";
import { endRootOf, segmentHashOf, type Crypto, type Payload } from "@xenoservers/protocol";
import { refereeProblem, resultDifference, type Under } from "./comparison.ts";
import { resultProblem } from "./re-execution.ts";

type Result = Payload<"result">;

/** `difference`: where the accused is wrong, in words; null where the referee bears it out. */
export type Judgement = { ok: true; difference: string | null } | { ok: false; why: string };

export function judge(
  crypto: Crypto,
  accused: Result,
  ruling: Result,
  under: Under,
  part: { trace: Payload<"trace"> | null; segment: number } | null,
): Judgement {
  if (part === null) {
    const unfit = refereeProblem(accused, ruling, under);
    return unfit === null ? { ok: true, difference: resultDifference(accused, ruling) } : { ok: false, why: unfit };
  }
  const proof = proofOf(under, accused);
  if (proof === null) return { ok: false, why: `it ended with ${accused.reason}, which another machine need not come to` };
  const { trace, segment } = part;
  if (!trace) return { ok: false, why: "the server has signed no trace" };
  if (trace.detail !== "") return { ok: false, why: `the server could not trace the job: ${trace.detail}` }; // a failed host has not lied
  if (segment > trace.roots.length + 1) return { ok: false, why: `the trace has ${trace.roots.length} breakpoints` };
  return judgeSegment(crypto, accused, ruling, { trace, segment, proof });
}

function judgeSegment(
  crypto: Crypto,
  accused: Result,
  ruling: Result,
  { trace, segment, proof }: { trace: Payload<"trace">; segment: number; proof: Proof },
): Judgement {
  const { roots, step } = trace;
  const from = roots[segment - 2] ?? null;
  const upTo = fuelToRun(proof, accused)?.toString() ?? null;
  if (ruling.jobHash !== segmentHashOf(crypto, trace.jobHash, { from, step, index: segment, upTo }))
    return { ok: false, why: "the referee ran another segment" };
  if (accused.engine !== ruling.engine) return { ok: false, why: `the engines differ: ${accused.engine} and ${ruling.engine}` };
  if (ruling.stateRoot === null) return { ok: false, why: `the referee's run ended with ${ruling.reason}` };
  const isEnd = segment > roots.length;
  if (isEnd && proof === "stated-fuel") return { ok: true, difference: stoppedDifference(crypto, accused, ruling) };
  // past the last breakpoint comes the job's end
  const claimed = roots[segment - 1] ?? endRootOf(crypto, accused);
  if (claimed === ruling.stateRoot) return { ok: true, difference: null };
  const place = isEnd ? `of its ending after breakpoint ${roots.length}` : `at breakpoint ${segment} of ${roots.length}`;
  const states = `signed state ${claimed.slice(0, 12)}…, the referee came to ${ruling.stateRoot.slice(0, 12)}…`;
  return { ok: true, difference: `${place} the server ${states}` };
}

/**
 * Where a result that was stopped is wrong by a run of its last segment: what it had put out until then, or that the job had ended before.
 */
function stoppedDifference(crypto: Crypto, accused: Result, ruling: Result): string | null {
  const { stateRoot, ...came } = ruling;
  const endedThere = endRootOf(crypto, { ...came, fuel: accused.fuel }) === stateRoot;
  if (TERMS[came.reason].proof === "own-end" && !endedThere)
    return `the server signed that it was stopped at ${accused.fuel} fuel, the job had come to its end before (${came.reason})`;
  return resultProblem(accused, { ...came, fuel: BigInt(accused.fuel) });
}
