/**
 * What is left: every lie that pays today, and every alarm that an honest case raises, each with why. The court's test holds that these
 * are all, and that each still is: a gap that closes is taken out here.
 */
import { TERMS, isEndReason } from "@xenoservers/market";
import type { LeaseRow } from "@xenoservers/xenocorp/parts";
import type { Told } from "./told.ts";

const BY_CHANCE = "where it was stopped is chance: running the job again up to its fuel shows the lie, and no referee takes it";

/** Lies that nothing makes good, by their names. */
export const OPEN: Readonly<Record<string, string>> = {
  "a server's result: budget": "its limit is the price's: running the job again shows the lie, and no referee takes it",
  "a server's result: time-limit": BY_CHANCE,
  "a server's result: customer-stop": BY_CHANCE,
  "a server's result: owner-stop": BY_CHANCE,
  "a server's result: an end of its own, of a job that was stopped": "the referee's own run of a job that never ends decides nothing",
  "a server's result: usedMs": "by interval time is the owner's claim, as long as the broker's clock allows it",
  "a referee's result": "one referee's word convicts at once, and nobody overturns it; running the job again shows the lie",
};

/** What `xeno verify` says against somebody honest. */
export const FALSE_ALARMS: Readonly<Record<string, string>> = {
  "a budget of time": "by interval a job that its budget has stopped is compared by its memory, as if its fuel had ended it",
};

/** Under which name a lie that paid stands in the list. */
export function gapOf({ lie: { by, kind }, field, end, endWithout }: Told): string {
  const who = by.replace(/ \d+$/, "");
  if (who === "referee") return "a referee's result";
  if (kind !== "result") return `a ${who}'s ${kind}: ${field}`;
  const wasStopped = isEndReason(endWithout) && TERMS[endWithout].byChance;
  if (wasStopped && end !== endWithout) return "a server's result: an end of its own, of a job that was stopped";
  return `a server's result: ${field === "usedMs" ? "usedMs" : end}`;
}

/** Under which name an alarm over an honest lease stands in the list; null where it has none. */
export function alarmOf({ end, terms }: LeaseRow, check: string): string | null {
  return check === "result" && end?.reason === "budget" && terms === "by-interval" ? "a budget of time" : null;
}
