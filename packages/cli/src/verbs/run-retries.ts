/**
 * `xeno run --retries N`: what ended by no fault of its customer is ordered again, each time as an order of its own. The budget is for all
 * tries together: what one has cost the next does not have. Who controls the input: the broker, how a lease ended; its receipt is checked.
 */
import type { LeaseView } from "@xenoservers/protocol";
import { isWorthRetrying, shortId, type Wanted } from "@xenoservers/sdk";
import { endLine } from "../output/lease-lines.ts";
import { say, yellow } from "../output/terminal.ts";
import { money } from "../output/ui.ts";

type Ended = Pick<LeaseView, "end">;

/** What is wanted of the next try; null: nothing is left of the budget. */
function nextTry(wanted: Wanted, { end }: Ended): Wanted | null {
  const budgetNanos = wanted.budgetNanos - BigInt(end?.dueNanos ?? 0);
  return budgetNanos > 0n ? { ...wanted, budgetNanos } : null;
}

/**
 * Runs until a try ends otherwise, or none is left. `attempt`: one try; `again` says of its lease whether another follows, before anything
 * is concluded from it.
 */
export async function withRetries(
  wanted: Wanted,
  { retries, quiet, currency }: { retries: number; quiet: boolean; currency: string },
  attempt: (wanted: Wanted, again: (lease: LeaseView) => boolean) => Promise<void>,
): Promise<void> {
  if (retries > 0 && !quiet)
    say(`retries  ${retries} more ${retries === 1 ? "try" : "tries"} at most; ${money(wanted.budgetNanos, currency)} is for all of them`);
  let next: Wanted | null = wanted;
  for (let left = retries; next; left--) {
    const now: Wanted = next;
    next = null;
    await attempt(now, (lease) => {
      const another = left > 0 && lease.end && isWorthRetrying(lease.end.reason) ? nextTry(now, lease) : null;
      if (another && !quiet) say(endLine(lease, currency), yellow(`         lease ${shortId(lease.id)} is tried again: ${left} left`));
      next = another;
      return another !== null;
    });
  }
}
