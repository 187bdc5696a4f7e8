/** What an interrupt does to replicas, at every moment from the order to the referee's word. */
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { LeftOpenError, NotComparedError, ReplicasGivenUpError, type ReplicasWatching, type ReplicatedJob } from "@xenoservers/sdk";
import { Typed } from "../typed.fixture.ts";
import type { RunInput } from "../input/verbs/run.ts";
import type { Prepared } from "./quote.ts";
import { runReplicas } from "./run-replicas.ts";

const LEASES = ["aa".repeat(32), "bb".repeat(32)];
// what a pipeline has by itself would say last wills to this client of nobody
const input = { json: false, quiet: true, noAudit: false, stopOnExit: false, leaveOnExit: true } as RunInput;
let typed: Typed;
let before: number;

beforeEach(() => {
  typed = new Typed();
  typed.listen();
  before = process.listenerCount("SIGINT");
});
afterEach(() => {
  typed.leave();
  expect(process.listenerCount("SIGINT")).toBe(before);
  process.exitCode = undefined;
  vi.restoreAllMocks();
});

/** A run whose replicas come to what `becomes` says of their signal. */
function prepared(becomes: (signal: AbortSignal) => ReplicatedJob["result"]): { prepared: Prepared; followed: Promise<AbortSignal> } {
  const { promise: followed, resolve } = Promise.withResolvers<AbortSignal>();
  const replicas = async ({ signal }: ReplicasWatching): Promise<ReplicatedJob> => {
    const result = becomes(signal!);
    // once it has been handed over
    setImmediate(() => resolve(signal!));
    return { leases: LEASES, servers: ["s_1", "s_2"], result, detach: () => {} } as unknown as ReplicatedJob;
  };
  const all = { market: { client: { brokerNow: () => 0 } }, context: { currency: "credits" }, run: { wanted: { replicas: 2 }, replicas } };
  return { prepared: all as unknown as Prepared, followed };
}

const onAbort = (signal: AbortSignal, error: () => Error): Promise<never> =>
  new Promise((_, reject) => signal.addEventListener("abort", () => reject(error())));

describe("an interrupt of replicas", () => {
  it.each(["SIGINT", "SIGTERM"] as const)("by %s gives all of them up, and says of each what came of it", async (name) => {
    const lefts = new Map([
      [LEASES[0]!, "withdrawn"],
      [LEASES[1]!, "over"],
    ] as const);
    const { prepared: run, followed } = prepared((signal) => onAbort(signal, () => new ReplicasGivenUpError(lefts, signal.reason)));
    const done = runReplicas(run, input);
    await followed;
    process.emit(name);
    await done;
    expect(typed.said.stderr).toMatch(/replica 1: the order was withdrawn.*\nreplica 2: the order was over already/);
    expect(process.exitCode).toBe(130);
  });

  it("ends the wait for the referee, and says how to go on", async () => {
    const { prepared: run, followed } = prepared((signal) => onAbort(signal, () => new LeftOpenError(LEASES, signal.reason)));
    const done = runReplicas(run, input);
    done.catch(() => {});
    await followed;
    process.emit("SIGINT");
    await expect(done).rejects.toMatchObject({
      exitCode: 130,
      message: expect.stringMatching(/nobody waits any more.*call it again/) as string,
    });
  });

  it("a second time does not wait for a broker that does not answer", async () => {
    const { prepared: run, followed } = prepared(() => new Promise(() => {}));
    const done = runReplicas(run, input);
    const signal = await followed;
    process.emit("SIGINT");
    expect(signal.aborted).toBe(true);
    process.emit("SIGINT");
    await done;
    expect(typed.said.stderr.match(/the broker has not confirmed/g)).toHaveLength(2);
    expect(process.exitCode).toBe(130);
  });

  it("is none where they come to nothing by themselves", async () => {
    const failure = new NotComparedError(LEASES, "nothing to compare");
    const { prepared: run } = prepared(() => Promise.reject(failure));
    await expect(runReplicas(run, input)).rejects.toBe(failure);
  });
});
