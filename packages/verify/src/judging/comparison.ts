/** Two signed results of one job: whether they can be compared, and where they differ. Both manifests are their servers' word. */
import { isComparable } from "@xenoservers/market";
import type { Payload } from "@xenoservers/protocol";
import { resultProblem } from "./re-execution.ts";

type Result = Payload<"result">;

/** Why a referee's result cannot decide over another; null when it can. */
export function refereeProblem(accused: Result, ruling: Result): string | null {
  if (!isComparable(ruling)) return `the referee's run ended with ${ruling.reason}`;
  if (accused.jobHash !== ruling.jobHash) return "the results are of different jobs";
  return accused.engine === ruling.engine ? null : `the engines differ: ${accused.engine} and ${ruling.engine}`;
}

/** Where the first differs from the second, in words; null when they agree. */
export function resultDifference(first: Result, second: Result): string | null {
  return resultProblem(first, { ...second, fuel: BigInt(second.fuel) });
}
