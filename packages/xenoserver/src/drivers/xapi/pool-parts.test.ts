/** Parts of the driver of pools that need no pool: what is said of it here is a few calls' answers. */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer, type AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { expect, it } from "vitest";
import type { VmSpec } from "@xenoservers/protocol";
import { until } from "../../../../../test/until.ts";
import { PoolConnection } from "./pool-connection.ts";
import { PoolDrain } from "./pool-drain.ts";
import { endedIn } from "./pool-guest.ts";
import { PoolImages } from "./pool-images.ts";
import { PoolMirror } from "./pool-mirror.ts";
import type { PoolSession } from "./pool-session.ts";
import { PoolSnapshots } from "./pool-snapshots.ts";
import { LEASE, type Pool } from "./pool.ts";
import { Unanswered, Unreached, XapiError } from "./xapi-error.ts";

const asPool = (parts: object): Pool => parts as Pool;

it("an image that one lease called off is brought by the other that waits for it", async () => {
  const first = new AbortController();
  const withTask = async (_method: string, _call: unknown, signal?: AbortSignal): Promise<void> => {
    if (!signal) return;
    first.abort(new Error("called off"));
    throw signal.reason;
  };
  const nothing = async (): Promise<void> => {};
  const pool = asPool({
    ...{ vms: async () => [], create: async () => "a disk", attach: nothing, note: nothing, removeDisk: nothing, removeVm: nothing },
    ...{ session: { call: async () => "a template" }, mirror: { withTask } },
  });
  const folder = await mkdtemp(path.join(tmpdir(), "xeno-called-off-"));
  const file = path.join(folder, "disk");
  await writeFile(file, "a disk");
  const images = new PoolImages(pool, 1, folder, () => 0);
  const image = { customer: "a", digest: "11".repeat(32), file, format: "raw" as const, diskMib: 1 };
  const both = Promise.allSettled([images.template(image, first.signal), images.template(image)]);
  expect(await both).toMatchObject([{ status: "rejected" }, { status: "fulfilled", value: "a template" }]);
  await rm(folder, { recursive: true });
});

it("a snapshot is its lease's until it is known whose it is: what stops half-way goes with the lease", async () => {
  const done: string[] = [];
  const pool = asPool({
    ...{ vms: async () => [], mirror: { run: async () => "a snapshot" }, note: async (_: string, key: string) => void done.push(key) },
    noteDisk: async () => {},
    session: {
      async call(_: unknown, method: string, _ref: string, key: string) {
        if (method === "VM.get_allowed_operations") return ["checkpoint"];
        done.push(`${method} ${key}`);
        return "a disk";
      },
    },
  });
  const spec = { memoryMib: 1, diskMib: 1 } as VmSpec;
  await new PoolSnapshots(pool, { gib: 1, hours: 1, now: () => 0 }).take("a machine", { customer: "a", spec });
  expect(done.at(-1)).toBe(`VM.remove_from_other_config ${LEASE}`);
});

it("a machine that has moved moves again where its next host goes out of service too", async () => {
  const hosts = new Map(["a", "b", "c"].map((name) => [name, { enabled: name !== "a", metrics: name }]));
  const metrics = new Map(["a", "b", "c"].map((name, at) => [name, { live: true, memory_free: 10 - at }]));
  const machine = {
    power_state: "Running",
    resident_on: "a",
    memory_static_max: 1,
    memory_overhead: 0,
    allowed_operations: ["pool_migrate"],
    name_label: "m",
  };
  const tables: Record<string, ReadonlyMap<string, unknown>> = { host: hosts, host_metrics: metrics, vm: new Map([["m", machine]]) };
  const moved: string[] = [];
  let change = (): void => {};
  const drain = new PoolDrain(
    asPool({
      leaseOf: () => "a lease",
      wait: async () => {},
      hosts: () => hosts,
      mirror: {
        of: (name: string) => tables[name],
        onChange: (told: () => void) => ((change = told), () => {}),
        run: async (_method: string, _vm: string, to: string) => void moved.push((machine.resident_on = to)),
      },
    }),
    () => {},
  );
  drain.start();
  await until(() => moved.length === 1);
  hosts.get("b")!.enabled = false;
  await until(() => (change(), moved.length === 2));
  await drain.close();
  expect(moved).toEqual(["b", "c"]);
});

it("an end that was written down is read as it was, whatever its guest called its files", async () => {
  const folder = await mkdtemp(path.join(tmpdir(), "xeno-ended-"));
  const ending = { kind: "result", fuel: "0n", fuelInAll: "12n", detail: "3n", tree: [{ kind: "folder", path: "1n" }] };
  await writeFile(path.join(folder, "ended.json"), JSON.stringify({ ending, stdout: null }));
  expect(await endedIn(folder)).toEqual({ ending: { ...ending, fuel: 0n, fuelInAll: 12n }, stdout: null });
  await rm(folder, { recursive: true });
});

it("a host that takes a connection and says nothing is given up, so that another is asked", async () => {
  const silent = createServer((socket) => void socket.resume());
  await new Promise<void>((resolve) => silent.listen(0, "127.0.0.1", resolve));
  const { port } = silent.address() as AddressInfo;
  await expect(new PoolConnection(port, [], 10).rpc("127.0.0.1", "pool.get_all", [])).rejects.toBeInstanceOf(Unreached);
  await new Promise((resolve) => silent.close(resolve));
});

it("no message holds a session, one that is over neither", () => {
  expect(new XapiError("event.from", "SESSION_INVALID", ["OpaqueRef:secret"]).message).toBe("event.from: SESSION_INVALID");
  expect(new XapiError("VM.start", "VM_BAD_POWER_STATE", ["a", "b"]).message).toBe("VM.start: VM_BAD_POWER_STATE (a, b)");
});

it("a pool that lets nobody in is asked ever more rarely, and at once again when it does", async () => {
  const waited: number[] = [];
  let refusals = 9;
  const enough = Promise.withResolvers<void>();
  const session = {
    call: async () => null,
    callOnce: async (signal: AbortSignal) => {
      if (waited.length === 0 && refusals === 9) return refusals-- && { events: [], token: "1" };
      if (refusals-- > 0) throw new XapiError("session.login_with_password", "SESSION_AUTHENTICATION_FAILED", []);
      if (refusals === -1) return { events: [], token: "2" };
      if (refusals === -2) throw new Unreached("away");
      enough.resolve();
      return new Promise((_, reject) => signal.addEventListener("abort", () => reject(new Error("closed"))));
    },
    knows: () => {},
  };
  const mirror = new PoolMirror(
    session as unknown as PoolSession,
    async (ms) => void waited.push(ms),
    () => {},
  );
  await mirror.start();
  await enough.promise;
  await mirror.close();
  expect(waited).toEqual([1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000, 1_000]);
});

it("a task that never ends is given up, the pool asked to leave it off, and nobody says what it has done", async () => {
  const asked: string[] = [];
  const session = {
    call: async (_: unknown, method: string) => (asked.push(method), method.startsWith("Async.") ? "a task" : null),
    callOnce: async (signal: AbortSignal) =>
      asked.includes("Async.VM.clone")
        ? new Promise((_, reject) => signal.addEventListener("abort", () => reject(new Error("closed"))))
        : { events: [], token: String(asked.push("event.from")) },
    knows: () => {},
  };
  const nothing = async (): Promise<void> => {};
  const mirror = new PoolMirror(session as unknown as PoolSession, nothing, () => {}, 1);
  await mirror.start();
  await expect(mirror.run("VM.clone", "a", "b")).rejects.toBeInstanceOf(Unanswered);
  expect(asked).toContain("task.cancel");
  await mirror.close();
});
