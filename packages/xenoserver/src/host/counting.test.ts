import { Random, SimClock } from "@xenoservers/testkit";
import { afterEach, expect, it } from "vitest";
import type { MetricsServer } from "@xenoservers/protocol/metrics-page";
import { Counting } from "./counting.ts";

let served: MetricsServer | null = null;
afterEach(() => served?.close());

it("a fault that lasts is told with its lease, when it begins and ever more seldom, and counted each time", async () => {
  const lines: object[] = [];
  const counting = new Counting((what, facts) => void lines.push({ what, ...facts }), new SimClock(0, new Random(1)));
  served = await counting.serve({ host: "127.0.0.1", port: 0 });
  counting.log("listed", { sequence: 1 });
  for (let i = 0; i < 12; i++) counting.log("a claim failed", { lease: "l1", error: "gone" });
  counting.log("a claim failed", { lease: "l2", error: "gone" });
  const fault = { what: "a claim failed", error: "gone" };
  expect(lines).toEqual([
    { what: "listed", sequence: 1 },
    { ...fault, lease: "l1", times: 1 },
    { ...fault, lease: "l1", times: 10 },
    { ...fault, lease: "l2", times: 1 },
  ]);
  // before it has started there are no figures
  expect((await fetch(served!.url)).status).toBe(500);
  const none = { vcpu: 0, memoryMib: 0, diskMib: 0 };
  const state = { server: "s", connected: false, draining: false, clock: null, leases: [], capacity: { offered: none, used: none } };
  counting.of = { server: { state }, vms: null, freeBytes: async () => 7 };
  const text = await (await fetch(served!.url)).text();
  expect(text).toContain('\nxeno_server_faults_total{what="a claim failed"} 13\n');
  expect(text).toContain("\nxeno_server_disk_free_bytes 7\n");
  expect(text).toContain("\nxeno_server_image_cache_bytes 0\n");
  expect(text).not.toContain("\nxeno_server_broker_silence_seconds ");
});
