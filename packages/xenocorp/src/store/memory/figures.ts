/** What is live and what waits, counted for whoever watches. */
import { QUEUED_MAX, type Store } from "../store.ts";
import { LIVE, type Tables } from "./tables.ts";

export const memoryFigures = (tables: Tables): Pick<Store, "figures"> => ({
  async figures(now) {
    const leases = new Map<string, number>();
    for (const { state } of tables.all("lease")) if (LIVE.has(state)) leases.set(state, (leases.get(state) ?? 0) + 1);
    const due = (["lease", "batch"] as const)
      .flatMap((kind) => tables.all(kind).map(({ deadlineAt }) => deadlineAt ?? Infinity))
      .filter((at) => at <= now)
      .sort((a, b) => a - b);
    return {
      leases,
      due: { count: Math.min(due.length, QUEUED_MAX), since: due[0] ?? null },
      unlogged: Math.min(tables.pending.length, QUEUED_MAX),
      notes: 0, // one process is all of its market
    };
  },
});
