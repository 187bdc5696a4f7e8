/** Hints by PostgreSQL keep the contract of hints. */
import { afterAll, afterEach } from "vitest";
import type { Pool } from "pg";
import { createTestDatabase, dropTestDatabases, leaveTestDatabases } from "../../../../test/database.ts";
import { openPool } from "../store/pool.ts";
import { hintsContract } from "../../../../test/support/hints-contract.ts";
import { postgresHints } from "./postgres-hints.ts";

/** A market is a database. */
const markets = new Map<string, Pool>();
afterEach(async () => {
  markets.clear();
  await leaveTestDatabases();
});
afterAll(dropTestDatabases);

hintsContract(() => ({
  async open(market, timers) {
    const pool = markets.get(market) ?? (await createTestDatabase());
    markets.set(market, pool);
    return postgresHints(pool, timers);
  },
  async cut() {
    for (const pool of markets.values())
      await pool.query(
        "select pg_terminate_backend(pid) from pg_stat_activity where query like 'listen %' and datname = current_database()",
      );
  },
  async away() {
    const pool = openPool({ host: "/nowhere/at/all", connectionTimeoutMillis: 1_000 });
    const hints = postgresHints(pool);
    return { ...hints, close: () => hints.close().then(() => pool.end()) };
  },
}));
