import { spawnSync } from "node:child_process";
import { expect, it } from "vitest";
import { createMetrics } from "../../packages/xenocorp/src/http/metrics.ts";

const installed = !spawnSync("promtool", ["--version"]).error;
if (!installed) console.warn("SKIPPED: promtool (Debian's prometheus) is not installed");

it.skipIf(!installed)("Prometheus' own tool has nothing to say against the broker's metrics", async () => {
  const metrics = createMetrics({ links: () => ({ servers: 1 }), signs: () => true, logSize: () => 1 });
  metrics.count("market", "ok", 0.1);
  metrics.books(true, 1n);
  const check = (input: string) => spawnSync("promtool", ["check", "metrics"], { input, encoding: "utf8" });
  const { status, stderr } = check(await metrics.registry.metrics());
  expect([status, stderr]).toEqual([0, ""]);
  expect(check("# TYPE wrong_total gauge\nwrong_total 1\n").status).toBe(3);
});
