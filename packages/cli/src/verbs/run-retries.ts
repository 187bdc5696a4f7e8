/**
 * `xeno run --retries N`: what ended by no fault of its customer is ordered again, each time as an order of its own. The budget is for all
 * tries together: what one has cost the next does not have. Who controls the input: the broker, how a lease ended; its receipt is checked.
 */
import type { LeaseView } from "@xenoservers/protocol";
import { shortId, type JobResult, type PreparedRun } from "@xenoservers/sdk";
import { endLine } from "../output/lease-lines.ts";
import { say, yellow } from "../output/terminal.ts";
import { money } from "../output/ui.ts";

/** What one try came to; the result is null where no server took it. */
export interface Tried {
  lease: LeaseView;
  result: Pick<JobResult, "end" | "bill"> | null;
}

/**
 * Runs until a try ends otherwise, or none is left. `attempt`: one try; `again` says of what it came to whether another follows, before
 * anything is concluded from it.
 */
export async function withRetries(
  run: PreparedRun,
  { retries, quiet, currency }: { retries: number; quiet: boolean; currency: string },
  attempt: (run: PreparedRun, again: (tried: Tried) => boolean) => Promise<void>,
): Promise<void> {
  if (retries > 0 && !quiet)
    say(
      `retries  ${retries} more ${retries === 1 ? "try" : "tries"} at most; ${money(run.wanted.budgetNanos, currency)} is for all of them`,
    );
  let next: PreparedRun | null = run;
  for (let left = retries; next; left--) {
    const now: PreparedRun = next;
    next = null;
    await attempt(now, ({ lease, result }) => {
      next = left > 0 && result ? now.again(result) : null;
      if (next && !quiet) say(endLine(lease, currency), yellow(`         lease ${shortId(lease.id)} is tried again: ${left} left`));
      return next !== null;
    });
  }
}
