/** The proof that runs all the time: the books balance, and what is held is what the live leases hold. */
import type { Store } from "../store/store.ts";

/** What is wrong with the books, in words; empty when nothing is. */
export function booksProblems({ balances, sums, liveHolds, held }: Awaited<ReturnType<Store["audit"]>>): string[] {
  const problems: string[] = [];
  let total = 0n;
  for (const [key, amount] of balances) {
    total += amount;
    const moved = sums.get(key) ?? 0n;
    if (moved !== amount) problems.push(`balance ${key} is ${amount}, its transfers sum to ${moved}`);
  }
  if (total !== 0n) problems.push(`all balances together are ${total} instead of 0`);
  if (held !== liveHolds) problems.push(`${held} is held, live leases hold ${liveHolds}`);
  return problems;
}
