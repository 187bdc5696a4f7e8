import { TERMS, type END_REASONS } from "@xenoservers/market";
import type { LeaseView } from "@xenoservers/protocol";
import type { Wanted } from "@xenoservers/sdk";
import { expect, it, vi } from "vitest";
import { withRetries } from "./run-retries.ts";

const ended = (reason: (typeof END_REASONS)[number], dueNanos = "0"): LeaseView =>
  ({ id: "ab".repeat(32), end: { reason, blame: TERMS[reason].blame, dueNanos, refundNanos: "0", billableFuel: "0" } }) as LeaseView;
const wanted = { budgetNanos: 100n } as Wanted;
const quiet = { quiet: true, currency: "c" };

it("tries so often at most, each time with what is left of the budget", async () => {
  const budgets: bigint[] = [];
  const attempt = vi.fn(async (now: Wanted, again: (lease: LeaseView) => boolean) => {
    budgets.push(now.budgetNanos);
    again(ended("server-unreachable", "30"));
  });
  await withRetries(wanted, { retries: 2, ...quiet }, attempt);
  expect(budgets).toEqual([100n, 70n, 40n]);
  budgets.length = 0;
  await withRetries(wanted, { retries: 9, ...quiet }, attempt);
  // of the last try nothing is left to pay another with
  expect(budgets).toEqual([100n, 70n, 40n, 10n]);
});

it("says of the last try that none follows, so that it is concluded", async () => {
  const follows: boolean[] = [];
  const reasons = ["not-started", "completed"] as const;
  await withRetries(
    wanted,
    { retries: 5, ...quiet },
    async (_, again) => void follows.push(again(ended(reasons[follows.length] ?? "completed"))),
  );
  expect(follows).toEqual([true, false]);
  follows.length = 0;
  await withRetries(wanted, { retries: 0, ...quiet }, async (_, again) => void follows.push(again(ended("not-started"))));
  expect(follows).toEqual([false]);
});
