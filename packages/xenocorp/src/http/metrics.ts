/** What the broker counts, for Prometheus. */
import { Counter, Gauge, Registry, collectDefaultMetrics } from "prom-client";

interface Metrics {
  registry: Registry;
  /** A request to a route, and the code of its outcome. */
  count(route: string, code: string): void;
}

export function createMetrics(links: () => Record<string, number>): Metrics {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry, prefix: "xeno_broker_" });
  const requests = new Counter({
    name: "xeno_broker_requests_total",
    help: "Requests by route and outcome",
    labelNames: ["route", "code"],
    registers: [registry],
  });
  new Gauge({
    name: "xeno_broker_links",
    help: "Connected links by kind",
    labelNames: ["kind"],
    registers: [registry],
    collect() {
      for (const [kind, connected] of Object.entries(links())) this.set({ kind }, connected);
    },
  });
  return { registry, count: (route, code) => requests.inc({ route, code }) };
}
