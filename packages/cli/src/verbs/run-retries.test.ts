import { TERMS, type END_REASONS } from "@xenoservers/market";
import type { LeaseView } from "@xenoservers/protocol";
import { PreparedRun, type JobResult } from "@xenoservers/sdk";
import { expect, it, vi } from "vitest";
import { withRetries, type Tried } from "./run-retries.ts";

function ended(reason: (typeof END_REASONS)[number], dueNanos = "0"): Tried {
  const { blame } = TERMS[reason];
  const lease = { id: "ab".repeat(32), end: { reason, blame, dueNanos, refundNanos: "0", billableFuel: "0" } } as LeaseView;
  return { lease, result: { end: { reason, blame }, bill: { dueNanos: BigInt(dueNanos) } } as JobResult };
}
type Parts = ConstructorParameters<typeof PreparedRun>;
const run = new PreparedRun({} as Parts[0], { wanted: { budgetNanos: 100n }, quotes: [{}] } as unknown as Parts[1]);
const quiet = { quiet: true, currency: "c" };

it("tries so often at most, each time with what is left of the budget", async () => {
  const budgets: bigint[] = [];
  const attempt = vi.fn(async (now: PreparedRun, again: (tried: Tried) => boolean) => {
    budgets.push(now.wanted.budgetNanos);
    again(ended("server-unreachable", "30"));
  });
  await withRetries(run, { retries: 2, ...quiet }, attempt);
  expect(budgets).toEqual([100n, 70n, 40n]);
  budgets.length = 0;
  await withRetries(run, { retries: 9, ...quiet }, attempt);
  // of the last try nothing is left to pay another with
  expect(budgets).toEqual([100n, 70n, 40n, 10n]);
});

it("says of the last try that none follows, so that it is concluded", async () => {
  const follows: boolean[] = [];
  const reasons = ["not-started", "completed"] as const;
  await withRetries(
    run,
    { retries: 5, ...quiet },
    async (_, again) => void follows.push(again(ended(reasons[follows.length] ?? "completed"))),
  );
  expect(follows).toEqual([true, false]);
  follows.length = 0;
  await withRetries(run, { retries: 0, ...quiet }, async (_, again) => void follows.push(again(ended("not-started"))));
  expect(follows).toEqual([false]);
});
