/**
 * Doubts and objections after the settlement. That two servers signed different results for the same job is proved by their signatures;
 * which of them is right, by running it again. Who controls the inputs: the broker (the verdict), both servers (their results), the
 * operator (ruling, referees).
 */
import { formatMoney, impartial, refereesAt, type Finding, type Lease } from "@xenoservers/market";
import type { Payload } from "@xenoservers/protocol";
import { resultProblem } from "../judging/re-execution.ts";
import { ownRun, type Checking } from "./checking.ts";
import { wrongResult } from "./result.ts";
import { claimed, failed, proved, type Said } from "./line.ts";

/**
 * Whether the candidates are those that the log gives; null where the receipt does not show it: it has no referee's naming, or leaves out
 * whose server one of them is.
 */
function isDrawnFromLog({ told }: Checking, { draw, end, owner, customer }: Lease): boolean | null {
  const named = told.referees.filter(({ index }) => index !== null);
  if (named.length === 0 || !draw || !end) return null;
  const statements = named.map(({ document: { payload }, at }) => ({ server: payload.server, active: payload.active, at }));
  const referees = refereesAt(statements, end.at);
  const own = impartial(referees, (server) => told.ownerOf(server), { owner, customer });
  const unowned = referees.filter((server) => told.ownerOf(server) === null);
  if (draw.candidates.filter((server) => !unowned.includes(server)).join() !== own.join()) return false;
  return unowned.length === 0 ? true : null;
}

/** Why the verdict is no verdict, whatever its results come to; null where nothing of the log speaks against it. */
function drawnProblem(checking: Checking, lease: Lease, { round, referee }: Payload<"verdict">): string | null {
  if (round === null) return null;
  if (checking.told.namedReferee(referee)?.document.payload.active === false) return "the operator had dismissed this referee";
  const isDrawn = isDrawnFromLog(checking, lease);
  return isDrawn === false ? "its referee was not drawn from those that the log gives" : null;
}

const STAKE_WAS = { locked: "locked", owner: "given back", customer: "taken", wronged: "taken" } as const;

/** What became of the verdict, where its owner has appealed. */
const appealed = ({ told }: Checking): string =>
  told.reviewed?.finding === "agrees"
    ? "; overturned: a second referee bears the server out"
    : told.reviewed?.finding === "differs"
      ? "; a second referee does not bear the server out either"
      : "";

/** Null where there is no verdict. */
export function checkVerdict(checking: Checking, lease: Lease): Said | null {
  const { told } = checking;
  const payload = told.documentOf("verdict")?.payload;
  const { judged } = told;
  if (!payload || judged?.finding !== "differs") return null;
  const problem = drawnProblem(checking, lease, payload);
  if (problem !== null) return failed(problem);
  const [back, slashed] = [BigInt(lease.final?.backNanos ?? 0), BigInt(payload.slashedNanos)].map((nanos) => formatMoney(nanos));
  const effect = `${back} came back, ${slashed} of stake was ${STAKE_WAS[lease.final?.stakeTo ?? "locked"]}${appealed(checking)}`;
  const whose = told.namedReferee(payload.referee) === null ? "; that the server is a referee is the broker's word" : "";
  const untilYou = (what: string): Said =>
    claimed(`${judged.difference}; the referee's word until you run ${what} again; ${effect}${whose}`);
  const isOverturned = told.reviewed?.finding === "agrees";
  const run = ownRun(checking);
  if (!run) return untilYou("it");
  let wrong: string | null;
  if (payload.segment !== null) {
    const right = run.rootAt?.(payload.segment) ?? null;
    if (right === null) return untilYou("that segment");
    wrong = right === judged.ruling.payload.stateRoot ? null : `running it again gives state ${right.slice(0, 12)}…`;
  } else wrong = resultProblem(judged.ruling.payload, run);
  if (isOverturned && (wrong === null || wrongResult(checking) !== null))
    return failed("the server's result is wrong, and so is the second referee that has overturned the verdict");
  if (wrong !== null && isOverturned) return proved(`the first referee was wrong: ${wrong}; ${effect}`);
  if (wrong !== null) return failed(`the referee itself is wrong: ${wrong}`);
  return proved(`${judged.difference}: running it again agrees with the referee; ${effect}`);
}

/** Why what became of the referee's results that were brought is not what they come to; null where nothing speaks against it. */
function broughtProblem(checking: Checking): string | null {
  const { told } = checking;
  const convicting = told.disputed.find(({ finding, isLogged }) => isLogged && finding === "differs");
  // one that does not hold is told of in its own line
  if (convicting && told.broken === null && told.documentOf("verdict") === null)
    return `a referee's signed result was brought, and the broker gave no verdict: ${convicting.why}`;
  const [run, borneOut] = [ownRun(checking), told.disputed.find(({ finding }) => finding === "agrees")];
  const wrong = run && borneOut?.ruling ? resultProblem(borneOut.ruling.payload, run) : null;
  return wrong === null ? null : `the referee that bore the server out is wrong: ${wrong}`;
}

/** What a referee's result comes to, by whose word. */
const BROUGHT: Readonly<Record<Finding, string>> = {
  agrees: "its customer brought a referee's signed result, which is the same as the server's",
  differs: "its customer brought a referee's signed result, which is another than the server's",
  unknown: "its customer brought a referee's result; what it comes to is the broker's word",
  "not-comparable": "its customer brought a referee's result, which decides nothing",
};

/** Null where nobody has doubted or objected. */
export function checkDispute(checking: Checking, lease: Lease): Said | null {
  const { told } = checking;
  const problem = broughtProblem(checking);
  if (problem !== null) return failed(problem);
  const { objection, trace, final } = lease;
  const says: string[] = [];
  if (objection) says.push(`its ${objection.by} objected: ${formatMoney(BigInt(objection.expectedDueNanos))} would be due`);
  const shown = trace?.document === null ? "not shown its states" : "signed its states";
  if (trace) says.push(`its customer doubted the result${trace.step === null ? "" : `; the server has ${shown}`}`);
  for (const { round, referee } of told.factsOf("draw").map(({ content }) => content))
    says.push(referee === null ? "no referee was left" : `referee ${referee.slice(0, 12)} was drawn in round ${round}`);
  for (const { finding } of told.disputed) says.push(BROUGHT[finding]);
  if (told.factsOf("ruling").length > 0 && final) {
    const money = `the owner keeps ${formatMoney(BigInt(final.ownerNanos))}, ${formatMoney(BigInt(final.backNanos))} goes back`;
    return proved(`${says.join("; ")}; the operator ruled: ${money}`);
  }
  return says.length === 0 ? null : claimed(says.join("; "));
}
