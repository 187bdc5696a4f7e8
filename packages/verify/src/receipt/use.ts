/**
 * The opening, and what was used. Who controls the inputs: the server (acceptance, claims, result), the broker (opening, receipts), the
 * customer (stops).
 */
import { meteringOf, wasRun, type Lease } from "@xenoservers/market";
import { resultProblem } from "../judging/re-execution.ts";
import { ownRun, type Checking } from "./checking.ts";
import { claimed, failed, proved, type Said } from "./line.ts";
import type { Told } from "./told.ts";

export function checkOpening(_: Checking, lease: Lease): Said {
  if (lease.openingId === null) return claimed("the lease was never opened");
  return proved("the server accepted in time and the broker opened the lease");
}

/** What the broker files together with what it answers; a receipt with only one of the two has lost the other. */
function unanswered(told: Told): string | null {
  const { unreceipted } = told.claims;
  if (unreceipted !== null) return `claim ${unreceipted} has no receipt of the broker`;
  const moved = told.factsOf("move").map(({ content }) => content.takeover.id);
  if (told.factsOf("takeover").some(({ id }) => !moved.includes(id))) return "a takeover has no move of the broker";
  const amended = told.factsOf("amendment").map(({ content }) => content.extension.id);
  return told.factsOf("extension").every(({ id }) => amended.includes(id)) ? null : "an extension has no amendment of the broker";
}

/** A claim may come late by half of its interval, as on a busy machine. */
const LATE = 1.5;

/** Use that no claim was made of in time, where time is paid: nobody but its server speaks for it. Null where the claims cover it. */
export function unclaimed({ told }: Checking, { terms, result, timings, gaps }: Lease): string | null {
  if (meteringOf(terms) === "fuel" || !result) return null;
  const most = told.claims.mostMs(result.usedMs);
  const away = gaps.reduce((ms, { from, to }) => ms + to - from, 0);
  const { claimIntervalMs } = timings;
  return most > LATE * claimIntervalMs + away ? `no claim speaks for ${most} ms of it, and one is due every ${claimIntervalMs} ms` : null;
}

export function checkUse(checking: Checking, lease: Lease): Said {
  const { told } = checking;
  const missing = unanswered(told);
  if (missing !== null) return failed(missing);
  const result = told.documentOf("result")?.payload ?? null;
  if (meteringOf(lease.terms) === "fuel") {
    // what was stopped at a moment of chance, or never ran, has no fuel that running it again could bear out
    const isExact = result !== null && wasRun(result) && result.memoryHash !== null;
    const run = ownRun(checking);
    const isRight = isExact && run !== null && resultProblem(result, run) === null;
    const says = `${result?.fuel ?? 0} fuel by the server's result`;
    return isRight ? proved(`${says}, and by running it again`) : claimed(`${says}; anyone with the job can recompute it`);
  }
  const claims = told.claims.count;
  const by = `${claims > 0 ? `${claims} chained claims and ` : ""}${result ? "result" : "word"}`;
  const stopped = lease.stop ? `; stopped by its ${lease.stop.reason === "customer-stop" ? "customer" : "owner"}` : "";
  const usedMs = result?.usedMs ?? lease.lastClaim?.usedMs ?? 0;
  const hole = unclaimed(checking, lease);
  const alone = hole === null ? "" : `; ${hole}`;
  return claimed(`${usedMs} ms used by the server's ${by}${stopped}${alone}; the bill cannot exceed the time between opening and end`);
}
