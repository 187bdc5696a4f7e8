import { afterEach, expect, it } from "vitest";
import { createMetrics, serveMetrics, type MetricsServer } from "./metrics.ts";

let served: MetricsServer | null = null;
afterEach(() => served?.close());

it("metrics stand on a port of their own, and nothing else does", async () => {
  let signs = true;
  const metrics = createMetrics({ links: () => ({ servers: 3 }), signs: () => signs, logSize: () => 7 });
  served = await serveMetrics(metrics, { host: "127.0.0.1", port: 0 });
  const { url } = served;
  const read = async (): Promise<string> => (await fetch(url)).text();
  metrics.count("market", "ok", 0.02);
  metrics.count("market", "rate_limited", 0.003);
  metrics.books(true, 2_500_000_000n);
  const text = await read();
  for (const line of [
    'xeno_broker_requests_total{route="market",code="rate_limited"} 1',
    'xeno_broker_request_duration_seconds_bucket{le="0.005",route="market"} 1',
    'xeno_broker_request_duration_seconds_bucket{le="0.025",route="market"} 2',
    "xeno_books_balanced 1",
    "xeno_broker_held_credits 2.5",
    'xeno_broker_links{kind="servers"} 3',
    "xeno_broker_signs 1",
    "xeno_broker_log_leaves 7",
  ])
    expect(text.split("\n")).toContain(line);
  const types = [...text.matchAll(/^# TYPE (\w+) (\w+)$/gm)].map(([, name = "", type]) => ({ name, type }));
  expect(types.filter(({ name, type }) => name.endsWith("_total") !== (type === "counter"))).toEqual([]);
  metrics.books(false, 0n);
  signs = false;
  expect(await read()).toMatch(/^xeno_books_balanced 0$[^]*^xeno_broker_signs 0$/m);
  for (const [path, init] of [
    ["/", {}],
    ["/metrics", { method: "POST" }],
  ] as const)
    expect((await fetch(new URL(path, url), init)).status).toBe(404);
  await expect(serveMetrics(metrics, { host: "127.0.0.1", port: Number(new URL(url).port) })).rejects.toThrow("EADDRINUSE");
});
