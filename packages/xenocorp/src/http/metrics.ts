/**
 * What the broker counts, for Prometheus, on a port of its own: figures of a market's business are not for everyone. Who controls the
 * inputs: whoever reaches that port, which is this machine's alone unless the operator says otherwise; nothing of a request is read but its
 * path.
 */
import { createServer, type Server } from "node:http";
import { Counter, Gauge, Histogram, Registry, collectDefaultMetrics } from "prom-client";

/** Gauges of the library's whose names say that they are counters: `promtool check metrics` refuses them, and each has a twin by type. */
const MISNAMED = ["handles", "requests", "resources"].map((what) => `xeno_broker_nodejs_active_${what}_total`);

/** From a read out of memory to what a client gives up on. */
const LATENCY_SECONDS = [0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];

export interface Metrics {
  registry: Registry;
  /** A request to a route, the code of its outcome, and how long it took. */
  count(route: string, code: string, seconds: number): void;
  /** What the proof of the books came to. */
  books(balanced: boolean, heldNanos: bigint): void;
}

interface Watched {
  links(): Record<string, number>;
  /** Whether this broker still signs. */
  signs(): boolean;
  /** Leaves of the log, as far as this broker has seen it. */
  logSize(): number;
}

export function createMetrics({ links, signs, logSize }: Watched): Metrics {
  const registry = new Registry();
  const registers = [registry];
  collectDefaultMetrics({ register: registry, prefix: "xeno_broker_" });
  for (const name of MISNAMED) registry.removeSingleMetric(name);
  const labelNames = ["route", "code"];
  const requests = new Counter({ name: "xeno_broker_requests_total", help: "Requests by route and outcome", labelNames, registers });
  const latency = new Histogram({
    ...{ name: "xeno_broker_request_duration_seconds", help: "From a request's head to its answer, by route", labelNames: ["route"] },
    ...{ buckets: LATENCY_SECONDS, registers },
  });
  const balanced = new Gauge({ name: "xeno_books_balanced", help: "1 while the books balance, as the latest proof found", registers });
  const held = new Gauge({ name: "xeno_broker_held_credits", help: "Money that live leases hold, as the latest proof found", registers });
  new Gauge({
    ...{ name: "xeno_broker_links", help: "Connected links by kind", labelNames: ["kind"], registers },
    collect() {
      for (const [kind, connected] of Object.entries(links())) this.set({ kind }, connected);
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
  return {
    registry,
    count(route, code, seconds) {
      requests.inc({ route, code });
      latency.observe({ route }, seconds);
    },
    books(fine, heldNanos) {
      balanced.set(fine ? 1 : 0);
      held.set(Number(heldNanos) / 1e9);
    },
  };
}

export interface MetricsPlace {
  host: string;
  /** 0: any free one. */
  port: number;
}

export interface MetricsServer {
  url: string;
  close(): Promise<void>;
}

const urlOf = (server: Server): string => {
  const at = server.address();
  if (at === null || typeof at === "string") throw new Error("a server that listens has an address");
  return `http://${at.family === "IPv6" ? `[${at.address}]` : at.address}:${at.port}/metrics`;
};

export async function serveMetrics({ registry }: Metrics, { host, port }: MetricsPlace): Promise<MetricsServer> {
  const server = createServer((request, response) => {
    if (request.method !== "GET" || request.url !== "/metrics") return response.writeHead(404).end("metrics are at /metrics\n");
    registry.metrics().then(
      (text) => response.writeHead(200, { "content-type": registry.contentType }).end(text),
      () => response.writeHead(500).end(),
    );
  });
  await new Promise<void>((resolve, reject) => server.once("error", reject).listen({ host, port }, resolve));
  return {
    url: urlOf(server),
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}
