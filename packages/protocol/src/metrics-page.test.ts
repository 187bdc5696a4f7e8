import { afterEach, expect, it } from "vitest";
import { serveMetrics, type MetricsServer } from "./metrics-page.ts";

let served: MetricsServer | null = null;
afterEach(() => served?.close());

it("metrics stand on a port of their own, and nothing else does", async () => {
  let failing = false;
  const registry = {
    contentType: "text/plain; version=0.0.4",
    metrics: async () => {
      if (failing) throw new Error("no");
      return "a_total 1\n";
    },
  };
  served = await serveMetrics(registry, { host: "127.0.0.1", port: 0 });
  const { url } = served;
  const answer = await fetch(url);
  expect([answer.headers.get("content-type"), await answer.text()]).toEqual([registry.contentType, "a_total 1\n"]);
  for (const [path, init] of [
    ["/", {}],
    ["/metrics", { method: "POST" }],
  ] as const)
    expect((await fetch(new URL(path, url), init)).status).toBe(404);
  failing = true;
  expect((await fetch(url)).status).toBe(500);
  await expect(serveMetrics(registry, { host: "127.0.0.1", port: Number(new URL(url).port) })).rejects.toThrow(
    /no metrics can be had at 127\.0\.0\.1:\d+: another program listens there: choose another --metrics-port/,
  );
});
