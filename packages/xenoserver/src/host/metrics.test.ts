import { expect, it } from "vitest";
import { createServerMetrics, type Watched } from "./metrics.ts";

const resources = { vcpu: 1, memoryMib: 256, diskMib: 0 };
const lease = (id: string, stage: "running" | "over") => ({ lease: id, stage, usedMs: 0, resources });
const capacity = { offered: { vcpu: 4, memoryMib: 1024, diskMib: 64 }, used: resources };
const state = (): ReturnType<Watched["state"]> => ({
  ...{ server: "s_1", connected: true, draining: false, clock: null, capacity },
  leases: [lease("a", "running"), lease("b", "over"), lease("c", "over")],
});

it("an owner's machine has a line for each figure, and one for each kind of refusal and fault", async () => {
  let heardAt: number | null = null;
  let images = async (): Promise<number> => 4_096;
  const { registry, logged } = createServerMetrics({
    ...{ state, now: () => 9_500, heardAt: () => heardAt },
    ...{ imageBytes: () => images(), freeBytes: async () => 5 },
  });
  const lines = async (): Promise<string[]> => (await registry.metrics()).split("\n");
  logged("listed", { sequence: 1 });
  logged("the offer was refused", { code: "wrong_state", known: 3 });
  logged("a purchase order was refused", { lease: "l", why: "no room" });
  logged("a claim failed", { lease: "l", error: "gone" });
  logged("a lease ends", { code: "of no table" });
  const unheard = await lines();
  expect(unheard.filter((line) => line.startsWith("xeno_server_broker_silence"))).toEqual([]);
  heardAt = 9_000;
  const now = await lines();
  for (const line of [
    'xeno_server_leases{stage="over"} 2',
    "xeno_server_guests 1",
    "xeno_server_offered_cpus 4",
    "xeno_server_used_cpus 1",
    "xeno_server_offered_memory_bytes 1073741824",
    "xeno_server_used_memory_bytes 268435456",
    "xeno_server_used_disk_bytes 0",
    "xeno_server_link_up 1",
    "xeno_server_draining 0",
    "xeno_server_broker_silence_seconds 0.5",
    "xeno_server_image_cache_bytes 4096",
    "xeno_server_disk_free_bytes 5",
    'xeno_server_refusals_total{what="the offer was refused",code="wrong_state"} 1',
    'xeno_server_refusals_total{what="a purchase order was refused",code="unfit"} 1',
    'xeno_server_faults_total{what="a claim failed"} 1',
  ])
    expect(now).toContain(line);
  expect(now.filter((line) => /^xeno_server_(?:refusals|faults)_total\{/.test(line))).toHaveLength(3);
  images = () => Promise.reject(new Error("EACCES"));
  expect((await lines()).filter((line) => line.startsWith("xeno_server_image_cache_bytes"))).toEqual([]);
});
