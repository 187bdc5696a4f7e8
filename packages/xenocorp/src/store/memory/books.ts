/** The books: balances and the transfers that made them. */
import type { Store } from "../store.ts";
import { LIVE, type Tables } from "./tables.ts";

export const memoryBooks = (tables: Tables): Pick<Store, "balances" | "statement" | "audit"> => ({
  async balances(prefixes) {
    const wanted = [...tables.ledger.balances].filter(([key]) => prefixes.some((prefix) => key.startsWith(prefix)));
    return new Map(wanted.map(([key, row]) => [key, row.amount]));
  },
  async statement(account, limit) {
    return tables.transfers
      .filter(({ debit, credit }) => debit.startsWith(`${account}/`) || credit.startsWith(`${account}/`))
      .slice(-limit)
      .reverse();
  },
  async audit() {
    const sums = new Map<string, bigint>();
    for (const { debit, credit, amount } of tables.transfers) {
      sums.set(debit, (sums.get(debit) ?? 0n) - amount);
      sums.set(credit, (sums.get(credit) ?? 0n) + amount);
    }
    const live = tables.all("lease").filter(({ state }) => LIVE.has(state));
    const liveHolds = live.reduce((sum, { holdNanos }) => sum + BigInt(holdNanos), 0n);
    const balances = new Map([...tables.ledger.balances].map(([key, row]) => [key, row.amount]));
    const held = [...balances].filter(([key]) => key.endsWith("/held")).reduce((sum, [, amount]) => sum + amount, 0n);
    return { balances, sums, liveHolds, held };
  },
});
