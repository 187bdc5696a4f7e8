/** The books: balances and the transfers that made them. */
import type { Pool } from "pg";
import type { Store } from "../store.ts";
import { LIVE, only, sqlOf } from "./sql.ts";

const STATEMENT = sqlOf("statement");
const AUDIT = sqlOf("audit");

interface Audit {
  balances: [string, string][];
  sums: [string, string][];
  live: string;
  held: string;
}

const amounts = (list: readonly [string, string][]): Map<string, bigint> => new Map(list.map(([key, amount]) => [key, BigInt(amount)]));

export const postgresBooks = (pool: Pool): Pick<Store, "balances" | "statement" | "audit"> => ({
  async balances(prefixes) {
    const { rows } = await pool.query<{ key: string; amount: string }>(
      "select key, amount from balance where exists (select 1 from unnest($1::text[]) p where starts_with(key, p))",
      [prefixes],
    );
    return new Map(rows.map((row) => [row.key, BigInt(row.amount)]));
  },
  async statement(account, limit) {
    const { rows } = await pool.query<{ id: string; debit: string; credit: string; amount: string; at: Date }>(STATEMENT, [account, limit]);
    return rows.map((row) => ({ ...row, amount: BigInt(row.amount), at: row.at.getTime() }));
  },
  async audit() {
    const { balances, sums, live, held } = only((await pool.query<Audit>(AUDIT, [LIVE])).rows);
    return { balances: amounts(balances), sums: amounts(sums), liveHolds: BigInt(live), held: BigInt(held) };
  },
});
