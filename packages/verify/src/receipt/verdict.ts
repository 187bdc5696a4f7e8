/**
 * Doubts and objections after the settlement. That two servers signed different results for the same job is proved by their signatures;
 * which of them is right, by running it again. Who controls the inputs: the broker (the verdict), both servers (their results), the
 * operator (ruling, referees).
 */
import { formatMoney, type Lease } from "@xenoservers/market";
import { resultProblem } from "../judging/re-execution.ts";
import { ownRun, type Checking } from "./checking.ts";
import { claimed, failed, proved, type Said } from "./line.ts";

/** Null where there is no verdict. */
export function checkVerdict(checking: Checking, lease: Lease): Said | null {
  const { told } = checking;
  const payload = told.documentOf("verdict")?.payload;
  const { judged } = told;
  if (!payload || judged?.finding !== "differs") return null;
  const named = told.namedReferee(payload.referee);
  if (named?.document.payload.active === false) return failed("the operator had dismissed this referee");
  const [back, slashed] = [BigInt(lease.final?.backNanos ?? 0), BigInt(payload.slashedNanos)].map((nanos) => formatMoney(nanos));
  const effect = `${back} came back, ${slashed} of stake was taken`;
  const whose = named === null ? "; that the server is a referee is the broker's word" : "";
  const then = `${effect}${whose}`;
  const untilYou = (what: string): Said => claimed(`${judged.difference}; the referee's word until you run ${what} again; ${then}`);
  const run = ownRun(checking);
  if (!run) return untilYou("it");
  if (payload.segment !== null) {
    const right = run.rootAt?.(payload.segment) ?? null;
    if (right === null) return untilYou("that segment");
    const gives = `running it again gives state ${right.slice(0, 12)}…`;
    if (right !== judged.ruling.payload.stateRoot) return failed(`the referee itself is wrong: ${gives}`);
  } else {
    const wrong = resultProblem(judged.ruling.payload, run);
    if (wrong !== null) return failed(`the referee itself is wrong: ${wrong}`);
  }
  return proved(`${judged.difference}: running it again agrees with the referee; ${effect}`);
}

/** Null where nobody has doubted or objected. */
export function checkDispute({ told }: Checking, lease: Lease): Said | null {
  const { objection, trace, final } = lease;
  const says: string[] = [];
  if (objection) says.push(`its ${objection.by} objected: ${formatMoney(BigInt(objection.expectedDueNanos))} would be due`);
  const shown = trace?.document === null ? "not shown its states" : "signed its states";
  if (trace) says.push(`its customer doubted the result; the server has ${shown}`);
  if (told.factsOf("dispute").length > 0) says.push("its customer brought a referee's result");
  if (told.factsOf("ruling").length > 0 && final) {
    const money = `the owner keeps ${formatMoney(BigInt(final.ownerNanos))}, ${formatMoney(BigInt(final.backNanos))} goes back`;
    return proved(`${says.join("; ")}; the operator ruled: ${money}`);
  }
  return says.length === 0 ? null : claimed(says.join("; "));
}
