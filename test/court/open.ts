/**
 * What is left: every lie that pays today, with why. The court's test holds that these are all, and that each still is: a gap that closes
 * is taken out here.
 */
import { TERMS, isEndReason } from "@xenoservers/market";
import type { Told } from "./told.ts";

const NOTHING_RAN = "that the job did not come, or did not fit, cannot be told from outside: it earns the slot's minimum, one second of it";

/** Lies that nothing makes good, by their names; each is bounded by what is said of it. */
export const OPEN: Readonly<Record<string, string>> = {
  "a server's result: usedMs": "by interval time is the owner's claim: the broker's clock bounds it, and nothing else could know it",
  "a server's result: the fuel of a job that was stopped":
    "on result: it has written the same at another fuel, so a second run shows nothing; what a machine can burn in the broker's time bounds it",
  "a server's result: reason": NOTHING_RAN,
  "a referee's result: reason": NOTHING_RAN,
  "a referee's result: the fuel of a segment":
    "its state is compared, its fuel is not: the segment's step, which its customer ordered, bounds it",
};

/** Under which name a lie that paid stands in the list. */
export function gapOf({ lie: { by, kind }, field, end, isSegment }: Told): string {
  const who = by.replace(/ \d+$/, "");
  const name = (what: string): string => `a ${who}'s ${kind}: ${what}`;
  if (kind !== "result" || field !== "fuel") return name(field);
  if (who === "referee") return name(isSegment ? "the fuel of a segment" : field);
  return name(isEndReason(end) && TERMS[end].byChance ? "the fuel of a job that was stopped" : field);
}
