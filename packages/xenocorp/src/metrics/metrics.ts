/**
 * What the broker counts, for Prometheus: requests, faults, its links, places and memory, its database; the market's own figures stand
 * in market.ts. Nothing of it costs more than what is live or waits.
 */
import { Counter, Gauge, Histogram, Registry, collectDefaultMetrics } from "prom-client";
import type { Pool } from "pg";
import type { Door } from "../http/door.ts";
import { watchPool } from "../store/pool.ts";
import { watchMarket, type Market, type MarketCounts } from "./market.ts";

/** Gauges of the library's whose names say that they are counters: `promtool check metrics` refuses them, and each has a twin by type. */
const MISNAMED = ["handles", "requests", "resources"].map((what) => `xeno_broker_nodejs_active_${what}_total`);

/** From a read out of memory to what a client gives up on. */
const LATENCY_SECONDS = [0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];

export interface Metrics extends MarketCounts {
  registry: Registry;
  /** A request to a route, the code of its outcome, and how long it took. */
  count(route: string, code: string, seconds: number): void;
  /** Something failed that is nobody's request. */
  fault(what: string): void;
  /** A last will was filed; the code of its outcome. */
  will(code: string): void;
}

interface Watched extends Market {
  links(): { servers: number; customers: number; channels: number };
  /** Whether this broker still signs. */
  signs(): boolean;
  /** Leaves of the log, as far as this broker has seen it. */
  logSize(): number;
  door(): Pick<Door, "memory" | "taken">;
  pool: Pool;
}

export function createMetrics(watched: Watched): Metrics {
  const registry = new Registry();
  const registers = [registry];
  collectDefaultMetrics({ register: registry, prefix: "xeno_broker_" });
  for (const name of MISNAMED) registry.removeSingleMetric(name);
  const requests = new Counter({
    ...{ name: "xeno_broker_requests_total", help: "Requests by route and outcome", labelNames: ["route", "code"], registers },
  });
  const latency = new Histogram({
    ...{ name: "xeno_broker_request_duration_seconds", help: "From a request's head to its answer, by route", labelNames: ["route"] },
    ...{ buckets: LATENCY_SECONDS, registers },
  });
  const faults = new Counter({
    ...{ name: "xeno_broker_faults_total", help: "What failed beside requests, by what", labelNames: ["what"], registers },
  });
  const wills = new Counter({
    ...{
      name: "xeno_broker_wills_filed_total",
      help: "Last wills filed for whoever was lost, by outcome",
      labelNames: ["code"],
      registers,
    },
  });
  watchOwn(registry, watched);
  watchDatabase(registry, watched.pool);
  return {
    registry,
    count(route, code, seconds) {
      requests.inc({ route, code });
      latency.observe({ route }, seconds);
    },
    fault: (what) => faults.inc({ what }),
    will: (code) => wills.inc({ code }),
    ...watchMarket(registry, watched),
  };
}

/** Links, places and memory of this broker, and whether it signs. */
function watchOwn(registry: Registry, { links, signs, logSize, door }: Watched): void {
  const registers = [registry];
  new Gauge({
    ...{
      name: "xeno_broker_links",
      help: "Connected links: of servers; of customers, as many as parties",
      labelNames: ["kind"],
      registers,
    },
    collect() {
      const { servers, customers } = links();
      this.set({ kind: "servers" }, servers);
      this.set({ kind: "customers" }, customers);
    },
  });
  new Gauge({
    ...{ name: "xeno_broker_channels", help: "Open channels between customers and their servers", registers },
    collect() {
      this.set(links().channels);
    },
  });
  new Gauge({
    ...{
      name: "xeno_broker_places_taken",
      help: "Places taken of those that are bounded, by what takes them",
      labelNames: ["what"],
      registers,
    },
    collect() {
      for (const [what, taken] of Object.entries(door().taken)) this.set({ what }, taken);
    },
  });
  for (const [suffix, help, of] of [
    ["used", "Held in memory for others, by use", ({ used }) => used],
    ["limit", "What may be held in memory for others, by use", ({ bytesMax }) => bytesMax],
  ] as const satisfies readonly (readonly [string, string, (share: { used: number; bytesMax: number }) => number])[])
    new Gauge({
      ...{ name: `xeno_broker_memory_budget_${suffix}_bytes`, help, labelNames: ["use"], registers },
      collect() {
        for (const [use, share] of Object.entries(door().memory)) this.set({ use }, of(share));
      },
    });
  new Gauge({
    ...{ name: "xeno_broker_signs", help: "1 while this broker signs; 0: its log is not the one it saw, see /readyz", registers },
    collect() {
      this.set(signs() ? 1 : 0);
    },
  });
  new Gauge({
    ...{ name: "xeno_broker_log_leaves", help: "Leaves of the log's latest epoch, as far as this broker saw it", registers },
    collect() {
      this.set(logSize());
    },
  });
}

function watchDatabase(registry: Registry, pool: Pool): void {
  const registers = [registry];
  const took = new Histogram({
    ...{ name: "xeno_broker_database_use_duration_seconds", help: "How long a connection is taken for a query or a transaction" },
    ...{ buckets: LATENCY_SECONDS, registers },
  });
  watchPool(pool, (seconds) => took.observe(seconds));
  new Gauge({
    ...{ name: "xeno_broker_database_connections", help: "Connections to the database by state", labelNames: ["state"], registers },
    collect() {
      this.set({ state: "idle" }, pool.idleCount);
      this.set({ state: "used" }, pool.totalCount - pool.idleCount);
    },
  });
  new Gauge({
    ...{ name: "xeno_broker_database_waiting", help: "Queries that wait for a connection", registers },
    collect() {
      this.set(pool.waitingCount);
    },
  });
}
