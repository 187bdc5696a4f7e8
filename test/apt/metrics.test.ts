import { spawnSync } from "node:child_process";
import { EventEmitter } from "node:events";
import { expect, it } from "vitest";
import { createMetrics } from "../../packages/xenocorp/src/metrics/metrics.ts";
import { createServerMetrics } from "../../packages/xenoserver/src/host/metrics.ts";

const installed = !spawnSync("promtool", ["--version"]).error;
if (!installed) console.warn("SKIPPED: promtool (Debian's prometheus) is not installed");

const check = (input: string) => spawnSync("promtool", ["check", "metrics"], { input, encoding: "utf8" });
const share = { used: 1, bytesMax: 2 };

it.skipIf(!installed)("Prometheus' own tool has nothing to say against the broker's metrics", async () => {
  const metrics = createMetrics({
    ...{ links: () => ({ servers: 1, customers: 1, channels: 1 }), signs: () => true, logSize: () => 1, now: () => 1 },
    door: () => ({ memory: { links: share, bodies: share, transfers: share }, taken: { documents: 1 } }) as never,
    pool: Object.assign(new EventEmitter(), { idleCount: 1, totalCount: 1, waitingCount: 0 }) as never,
    figures: async () => ({ leases: new Map([["open", 1]]), due: { count: 1, since: 0 }, unlogged: 1, notes: 1 }),
  });
  metrics.count("market", "ok", 0.1);
  metrics.fault("the timers failed");
  metrics.leaseMoved("settled", "completed");
  metrics.books(true, new Map([["parties/held", 1n]]));
  const { status, stdout, stderr } = check(await metrics.registry.metrics());
  expect([status, stdout, stderr]).toEqual([0, "", ""]);
});

it.skipIf(!installed)("nor against a xenoserver's", async () => {
  const resources = { vcpu: 1, memoryMib: 1, diskMib: 1 };
  const { registry, logged } = createServerMetrics({
    ...{ now: () => 2, heardAt: () => 1, imageBytes: async () => 1, freeBytes: async () => 1 },
    state: () => ({
      ...{ server: "s", connected: true, draining: false, clock: null, capacity: { offered: resources, used: resources } },
      leases: [{ lease: "l", stage: "running", usedMs: 1, resources }],
    }),
  });
  logged("the offer was refused", { code: "wrong_state" });
  logged("a claim failed", { error: "gone" });
  const { status, stdout, stderr } = check(await registry.metrics());
  expect([status, stdout, stderr]).toEqual([0, "", ""]);
});

it.skipIf(!installed)("it has something to say where there is", () => {
  expect(check("# TYPE wrong_total gauge\nwrong_total 1\n").status).toBe(3);
});
