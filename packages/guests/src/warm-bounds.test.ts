/** How many processes wait for another job of their customer, for how long, and which of them go first. */
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { WarmWorkers, type Lane, type WarmWorker } from "./warm.ts";

const laneOf = (customer: string, vcpu = 1, key = "k"): Lane => ({
  customer,
  key,
  module: "m",
  size: { memoryMibMax: 64, diskMibMax: 1, outputMibMax: 1, vcpu },
});
type Named = WarmWorker & { name: string };
const ended: string[] = [];
const host = { resident: 60, free: 8_000 };
const memory = { residentMib: async () => host.resident, freeMib: () => host.free };
const ofMost = (most: number) => new WarmWorkers<Named>(most, async ({ name }) => void ended.push(name), memory);
const worker = (name: string, customer: string, over: Partial<Named> = {}): Named => ({
  ...{ name, lane: laneOf(customer), compiled: "m", startedMs: performance.now(), jobs: 1, exited: new Promise(() => {}) },
  ...over,
});

beforeEach(() => {
  vi.useFakeTimers();
  ended.length = 0;
  Object.assign(host, { resident: 60, free: 8_000 });
});
afterEach(() => {
  vi.useRealTimers();
});

it("has so many at most, of one customer half, and ends those that wait longest", async () => {
  const warm = ofMost(4);
  for (const name of ["a1", "a2", "a3"]) await warm.wait(worker(name, "a"), 1);
  expect(ended).toEqual(["a1"]);
  for (const name of ["b1", "c1", "d1"]) await warm.wait(worker(name, name.slice(0, 1)), 1);
  expect(ended).toEqual(["a1", "a2"]);
  await warm.close();
  expect(ended.toSorted()).toEqual(["a1", "a2", "a3", "b1", "c1", "d1"]);
});

it("counts a customer's processes together, whatever keys it has made itself", async () => {
  const warm = ofMost(4);
  await warm.wait(worker("other's", "b"), 1);
  for (const key of ["1", "2", "3", "4"]) await warm.wait(worker(key, "a", { lane: laneOf("a", 1, key) }), 1);
  expect(ended).toEqual(["1", "2"]);
  expect(warm.take(laneOf("a", 1, "1"))).toBe(null);
  expect(warm.take(laneOf("a", 1, "3"))?.name).toBe("3");
  expect(warm.take(laneOf("b"))?.name).toBe("other's");
});

it("keeps nobody from its room by one that cannot be ended, nor the others from their end", async () => {
  const warm = new WarmWorkers<Named>(
    4,
    async ({ name }) => {
      ended.push(name);
      if (name === "stuck") throw new Error("stuck");
    },
    memory,
  );
  for (const name of ["stuck", "a"]) await warm.wait(worker(name, name), 1);
  host.free = 1_000;
  await warm.makeRoom(0);
  expect(ended).toEqual(["stuck", "a"]);
});

it("gives one to its own customer and size alone, first of all one that has the module", async () => {
  const warm = ofMost(8);
  await warm.wait(worker("has it", "a"), 1);
  await warm.wait(worker("has another", "a", { compiled: "n" }), 1);
  expect(warm.take(laneOf("b"))).toBe(null);
  expect(warm.take(laneOf("a", 2))).toBe(null);
  expect(warm.take(laneOf("a"))?.name).toBe("has it");
  expect(warm.take(laneOf("a"))?.name).toBe("has another");
  expect(warm.take(laneOf("a"))).toBe(null);
});

it("has one serve so many jobs and so long, and wait so long", async () => {
  const warm = ofMost(4);
  expect(warm.goesOn(worker("young", "a", { jobs: 255 }))).toBe(true);
  expect(warm.goesOn(worker("has served", "a", { jobs: 256 }))).toBe(false);
  expect(warm.goesOn(worker("old", "a", { startedMs: performance.now() - 600_000 }))).toBe(false);
  await expect(warm.wait(worker("old", "a", { startedMs: performance.now() - 600_000 }), 1)).rejects.toThrow("served");
  await warm.wait(worker("waits", "a"), 1);
  vi.advanceTimersByTime(29_999);
  expect(ended).toEqual([]);
  vi.advanceTimersByTime(1);
  expect(ended).toEqual(["waits"]);
  expect(warm.take(laneOf("a"))).toBe(null);
});

it("keeps none that is large, and none where the machine is short of memory", async () => {
  const warm = ofMost(4);
  host.resident = 385;
  await expect(warm.wait(worker("large", "a"), 1)).rejects.toThrow("385 MiB");
  host.resident = 60;
  await warm.wait(worker("small", "a"), 1);
  await warm.makeRoom(4_000);
  expect(ended).toEqual([]);
  await warm.makeRoom(7_500);
  expect(ended).toEqual(["small"]);
  host.free = 1_000;
  await warm.wait(worker("late", "a"), 1);
  expect(ended).toEqual(["small", "late"]);
});

it("forgets one that has ended by itself, and keeps none where its owner wants none or it is closed", async () => {
  const warm = ofMost(4);
  const exit = Promise.withResolvers<void>();
  await warm.wait(worker("gone", "a", { exited: exit.promise }), 1);
  exit.resolve();
  await exit.promise;
  await Promise.resolve();
  expect(warm.take(laneOf("a"))).toBe(null);
  expect(ended).toEqual(["gone"]);
  expect(ofMost(0).goesOn(worker("none", "a"))).toBe(false);
  await warm.close();
  await expect(warm.wait(worker("closed", "a"), 1)).rejects.toThrow("served");
});
