import { EventEmitter } from "node:events";
import { expect, it } from "vitest";
import type { Pool } from "pg";
import type { Figures } from "../store/store.ts";
import { createMetrics, type Metrics } from "./metrics.ts";

const FIGURES: Figures = {
  leases: new Map([["open", 4]]),
  due: { count: 2, since: 7_000 },
  unlogged: 3,
  notes: 1,
};
const pool = Object.assign(new EventEmitter(), { idleCount: 1, totalCount: 3, waitingCount: 5 }) as unknown as Pool;

interface World {
  metrics: Metrics;
  lines(): Promise<string[]>;
  asked: number;
  signs: boolean;
  figures: Figures | null;
}

function world(): World {
  const share = (used: number) => ({ used, bytesMax: 100 });
  const memory = { links: share(7), bodies: share(0), transfers: share(1) };
  const self: World = {
    ...{ asked: 0, signs: true, figures: FIGURES },
    metrics: createMetrics({
      ...{ pool, links: () => ({ servers: 3, customers: 2, channels: 9 }), signs: () => self.signs, logSize: () => 7, now: () => 9_500 },
      door: () => ({ memory, taken: { documents: 6 } }) as never,
      async figures() {
        self.asked++;
        if (self.figures === null) throw new Error("the database is away");
        return self.figures;
      },
    }),
    lines: async () => (await self.metrics.registry.metrics()).split("\n"),
  };
  return self;
}

it("what an operator watches has a line each, and the database is asked once for all of them", async () => {
  const self = world();
  const { metrics } = self;
  metrics.count("market", "ok", 0.02);
  metrics.count("market", "rate_limited", 0.003);
  metrics.fault("the timers failed");
  metrics.will("ok");
  metrics.leaseMoved("open", null);
  metrics.leaseMoved("settled", "completed");
  metrics.books(
    true,
    new Map([
      ["parties/held", 2_500_000_000n],
      ["xenocorp/pending", 1n],
    ]),
  );
  const client = {};
  pool.emit("acquire", client as never);
  pool.emit("release", undefined as never, client as never);
  const lines = await self.lines();
  for (const line of [
    'xeno_broker_requests_total{route="market",code="rate_limited"} 1',
    'xeno_broker_request_duration_seconds_bucket{le="0.005",route="market"} 1',
    'xeno_broker_request_duration_seconds_bucket{le="0.025",route="market"} 2',
    'xeno_broker_faults_total{what="the timers failed"} 1',
    'xeno_broker_wills_filed_total{code="ok"} 1',
    'xeno_broker_lease_moves_total{state="settled"} 1',
    'xeno_broker_leases_ended_total{reason="completed"} 1',
    "xeno_books_balanced 1",
    'xeno_market_money_credits{of="parties",state="held"} 2.5',
    'xeno_market_money_credits{of="xenocorp",state="pending"} 1e-9',
    'xeno_market_leases{state="open"} 4',
    "xeno_market_timers_due 2",
    "xeno_market_timers_late_seconds 2.5",
    "xeno_market_log_pending 3",
    "xeno_market_notes 1",
    'xeno_broker_links{kind="servers"} 3',
    "xeno_broker_channels 9",
    'xeno_broker_places_taken{what="documents"} 6',
    'xeno_broker_memory_budget_used_bytes{use="links"} 7',
    'xeno_broker_memory_budget_limit_bytes{use="transfers"} 100',
    'xeno_broker_database_connections{state="used"} 2',
    "xeno_broker_database_waiting 5",
    "xeno_broker_database_up 1",
    "xeno_broker_database_use_duration_seconds_count 1",
    "xeno_broker_signs 1",
    "xeno_broker_log_leaves 7",
  ])
    expect(lines).toContain(line);
  expect(self.asked).toBe(1);
  const types = lines.flatMap((line) => [...line.matchAll(/^# TYPE (\w+) (\w+)$/g)].map(([, name = "", type]) => ({ name, type })));
  expect(types.filter(({ name, type }) => name.endsWith("_total") !== (type === "counter"))).toEqual([]);
});

it("what is not known is not there: an old figure would be believed", async () => {
  const self = world();
  await self.lines();
  self.figures = null;
  self.signs = false;
  self.metrics.books(false, new Map());
  const away = await self.lines();
  expect(away.filter((line) => /^xeno_market_(?:leases|timers|log|notes)/.test(line))).toEqual([]);
  for (const line of ["xeno_broker_database_up 0", "xeno_broker_signs 0", "xeno_books_balanced 0"]) expect(away).toContain(line);
  self.figures = { ...FIGURES, leases: new Map([["bound", 1]]), due: { count: 0, since: null } };
  const back = await self.lines();
  expect(back.filter((line) => line.startsWith("xeno_market_leases"))).toEqual(['xeno_market_leases{state="bound"} 1']);
  expect(back).toContain("xeno_market_timers_late_seconds 0");
});
