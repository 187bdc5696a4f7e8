/** The books: balances and the transfers that made them. */
import type { Pool } from "pg";
import { entryPlaceIn, pageOf } from "../cursors.ts";
import type { Entry, Store } from "../store.ts";
import { LIVE, only, sqlOf } from "./sql.ts";

const BALANCES = sqlOf("balances");
const STATEMENT = sqlOf("statement");
const AUDIT = sqlOf("audit");

interface Audit {
  balances: [string, string][];
  sums: [string, string][];
  live: string;
  held: string;
}

const amounts = (list: readonly [string, string][]): Map<string, bigint> => new Map(list.map(([key, amount]) => [key, BigInt(amount)]));

interface EntryRecord {
  id: string;
  debit: string;
  credit: string;
  amount: string;
  at: Date;
  seq: string;
}

const entryOf = ({ id, debit, credit, amount, at }: EntryRecord): Entry => ({
  ...{ id, debit, credit },
  amount: BigInt(amount),
  at: at.getTime(),
});

interface Proof {
  wrong: [string, string, string][];
  transfers: number;
  live: string;
  held: string;
  pots: [string, string][];
}

export const postgresBooks = (pool: Pool): Pick<Store, "balances" | "statement" | "audit" | "proveBooks"> => ({
  async balances(prefixes) {
    const { rows } = await pool.query<{ key: string; amount: string }>(BALANCES, [prefixes]);
    return new Map(rows.map((row) => [row.key, BigInt(row.amount)]));
  },
  async statement(account, after, limit) {
    const { rows } = await pool.query<EntryRecord>(STATEMENT, [account, limit + 1, entryPlaceIn(after)]);
    const page = pageOf(rows, limit, ({ seq }) => seq);
    return { ...page, rows: page.rows.map(entryOf) };
  },
  async proveBooks() {
    const { rows } = await pool.query<{ proof: Proof }>("select prove_books($1) as proof", [LIVE]);
    const { wrong, transfers, live, held, pots } = only(rows).proof;
    return {
      wrong: wrong.map(([key, balance, sum]) => ({ key, balance: BigInt(balance), sum: BigInt(sum) })),
      transfers,
      liveHolds: BigInt(live),
      held: BigInt(held),
      pots: amounts(pots),
    };
  },
  async audit() {
    const { balances, sums, live, held } = only((await pool.query<Audit>(AUDIT, [LIVE])).rows);
    return { balances: amounts(balances), sums: amounts(sums), liveHolds: BigInt(live), held: BigInt(held) };
  },
});
