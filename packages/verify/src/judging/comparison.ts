/** Two signed results of one job: whether they can be compared, and where they differ. Both manifests are their servers' word. */
import { fuelToRun, proofOf, type Lease } from "@xenoservers/market";
import type { Payload } from "@xenoservers/protocol";
import { resultProblem } from "./re-execution.ts";

type Result = Payload<"result">;

/** Under what both were run: what is alike under it can be judged. */
export type Under = Pick<Lease, "driver" | "assurance">;

/**
 * Why a referee's result cannot decide over another; null when it can. Both must have run under the same limit where a limit ended one
 * of them: a run that was given less shows nothing of what came later.
 */
export function refereeProblem(accused: Result, ruling: Result, under: Under): string | null {
  const [proof, ruled] = [proofOf(under, accused), proofOf(under, ruling)];
  if (proof === null) return `it ended with ${accused.reason}, which another machine need not come to`;
  if (ruled !== "own-end" && ruled !== "fuel-limit") return `the referee's run ended with ${ruling.reason}`;
  if (accused.jobHash !== ruling.jobHash) return "the results are of different jobs";
  if (accused.engine !== ruling.engine) return `the engines differ: ${accused.engine} and ${ruling.engine}`;
  const ran = BigInt(ruling.fuelMax);
  const upTo = fuelToRun(proof, accused);
  const asFar = upTo === null ? ruled === "own-end" || ran >= BigInt(accused.fuelMax) : ran === upTo;
  return asFar ? null : `the referee ran it up to ${ran} fuel, the server up to ${upTo ?? accused.fuelMax}`;
}

/** Where the first differs from the second, in words; null when they agree. */
export function resultDifference(first: Result, second: Result): string | null {
  return resultProblem(first, { ...second, fuel: BigInt(second.fuel) });
}
