/** The books: balances and the transfers that made them. */
import { entryPlaceIn, pageOf } from "../cursors.ts";
import { BROKER_ACCOUNT, type Store } from "../store.ts";
import { LIVE, type Tables } from "./tables.ts";

export const memoryBooks = (tables: Tables): Pick<Store, "balances" | "statement" | "audit" | "proveBooks"> => ({
  async balances(prefixes) {
    const wanted = [...tables.ledger.balances].filter(([key]) => prefixes.some((prefix) => key.startsWith(prefix)));
    return new Map(wanted.map(([key, row]) => [key, row.amount]));
  },
  async statement(account, after, limit) {
    const own = tables.transfers.flatMap(({ id, debit, credit, amount, at }, place) =>
      debit.startsWith(`${account}/`) || credit.startsWith(`${account}/`) ? [{ place, entry: { id, debit, credit, amount, at } }] : [],
    );
    const rest = own.filter(({ place }) => BigInt(place) < entryPlaceIn(after)).reverse();
    const page = pageOf(rest, limit, ({ place }) => String(place));
    return { ...page, rows: page.rows.map(({ entry }) => entry) };
  },
  async proveBooks() {
    const fresh = tables.transfers.slice(tables.proved.transfers);
    const moved = sumsOf(fresh);
    const wrong = [...moved].flatMap(([key, amount]) => {
      const balance = tables.ledger.balances.get(key)?.amount ?? 0n;
      const sum = (tables.proved.sums.get(key) ?? 0n) + amount;
      return balance === sum ? [] : [{ key, balance, sum }];
    });
    if (wrong.length === 0) {
      for (const [key, amount] of moved) tables.proved.sums.set(key, (tables.proved.sums.get(key) ?? 0n) + amount);
      tables.proved.transfers = tables.transfers.length;
    }
    return { wrong, transfers: fresh.length, ...holdsIn(tables), pots: potsIn(tables) };
  },
  async audit() {
    const balances = new Map([...tables.ledger.balances].map(([key, row]) => [key, row.amount]));
    return { balances, sums: sumsOf(tables.transfers), ...holdsIn(tables) };
  },
});

function sumsOf(transfers: Tables["transfers"]): Map<string, bigint> {
  const sums = new Map<string, bigint>();
  for (const { debit, credit, amount } of transfers) {
    sums.set(debit, (sums.get(debit) ?? 0n) - amount);
    sums.set(credit, (sums.get(credit) ?? 0n) + amount);
  }
  return sums;
}

const BUCKETS: readonly string[] = ["available", "held", "pending", "staked", "locked"];

function potsIn({ transfers }: Tables): Map<string, bigint> {
  const pots = new Map<string, bigint>();
  for (const [key, amount] of sumsOf(transfers)) {
    const [whose = "", bucket = ""] = key.split("/");
    if (!BUCKETS.includes(bucket) || whose === "source" || whose === "sink") continue;
    const pot = `${whose === BROKER_ACCOUNT ? whose : "parties"}/${bucket}`;
    pots.set(pot, (pots.get(pot) ?? 0n) + amount);
  }
  return pots;
}

function holdsIn(tables: Tables): { liveHolds: bigint; held: bigint } {
  const live = tables.all("lease").filter(({ state }) => LIVE.has(state));
  const held = [...tables.ledger.balances].filter(([key]) => key.endsWith("/held"));
  return {
    liveHolds: live.reduce((sum, { holdNanos }) => sum + BigInt(holdNanos), 0n),
    held: held.reduce((sum, [, { amount }]) => sum + amount, 0n),
  };
}
