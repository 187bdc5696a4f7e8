/** What is live and what waits, counted for whoever watches. */
import type { Pool } from "pg";
import { QUEUED_MAX, type Store } from "../store.ts";
import { only, sqlOf } from "./sql.ts";

const FIGURES = sqlOf("figures");

interface Row {
  leases: Record<string, number>;
  due: number;
  since: string | null;
  unlogged: number;
  notes: number;
}

export const postgresFigures = (pool: Pool): Pick<Store, "figures"> => ({
  async figures(now) {
    const { leases, due, since, unlogged, notes } = only((await pool.query<Row>(FIGURES, [now, QUEUED_MAX])).rows);
    return {
      leases: new Map(Object.entries(leases)),
      due: { count: due, since: since === null ? null : Number(since) },
      unlogged,
      notes,
    };
  },
});
