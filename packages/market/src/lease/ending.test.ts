/** How a guest's end becomes a result: what the fold bears out and what it does not. */
import { FETCH_CONDITION } from "../fetching.ts";
import { describe, expect, it } from "vitest";
import { EMPTY_BYTES_DIGEST, EMPTY_TREE_DIGEST } from "../digests.ts";
import type { ResultContent } from "./facts.ts";
import type { Lease } from "./lease.ts";
import { inputsByOf } from "./deadlines.ts";
import { ISSUED_AT, REPLICAS, claimed, opened, refusalOf, told, type Terms } from "./lease.fixture.ts";
import { RESULT_REASONS, TERMS } from "./terms.ts";

const VM: Terms = { order: { driver: "qemu", terms: "by-interval" } };
const refusal = (content: Partial<ResultContent>, lease = opened()) => refusalOf(lease, "result", { content });
const NO_BYTES = { outputDigest: EMPTY_TREE_DIGEST, stdoutDigest: EMPTY_BYTES_DIGEST, stderrDigest: EMPTY_BYTES_DIGEST };

describe("a result", () => {
  it("is of this job, this server, and follows the last claim", () => {
    expect(refusal({})).toBeNull();
    expect(refusal({ server: "another" })?.code).toBe("not_yours");
    expect(refusal({ jobHash: "another" })?.code).toBe("result_mismatch");
    expect(refusal({ lastClaim: "another" })?.code).toBe("result_mismatch");
    const used = claimed(opened());
    expect(refusal({ usedMs: 99 }, used)?.code).toBe("claim_decreasing");
    expect(refusal({ lastClaim: used.openingId ?? "" }, used)?.code).toBe("result_mismatch");
    expect(refusalOf(told(opened(), "claim"), "result")).toBeNull();
  });

  it("states nothing that is the broker's to find, nor another driver's", () => {
    for (const reason of ["server-unreachable", "not-accepted", "not-delivered", "broker-failed"] as const)
      expect(refusal({ reason, exitCode: null })?.code, reason).toBe("result_mismatch");
    for (const reason of RESULT_REASONS)
      if (TERMS[reason].takes === "boots") expect(refusal({ reason, exitCode: null, fuel: "0" })?.code, reason).toBe("result_mismatch");
    expect(refusal({ reason: "module-malformed", exitCode: null }, opened(VM))?.code).toBe("result_mismatch");
    expect(refusal({ reason: "guest-panic", exitCode: null }, opened(VM))).toBeNull();
  });

  it("that another's is compared with was run by the engine that the offer names", () => {
    expect(refusal({ engine: "none" })?.code).toBe("result_mismatch");
    const alike: Terms = { order: { ...VM.order, assurance: "deterministic-vm", terms: "on-result" } };
    expect(refusal({ engine: "none" }, opened(alike))?.code).toBe("result_mismatch");
    // an ordinary machine may outlive an upgrade of what runs it, and who ran nothing is paid nothing for it
    expect(refusal({ engine: "none" }, opened(VM))).toBeNull();
    expect(refusal({ engine: "none", reason: "server-failed", exitCode: null, fuel: "0" })).toBeNull();
  });

  it("ran under the limit that was bound, and a module that cannot be read burned nothing", () => {
    expect(refusal({ fuelMax: "1" })?.code).toBe("result_mismatch");
    const malformed = { reason: "module-malformed", exitCode: null } as const;
    expect(refusal({ ...malformed, fuel: "0" })).toBeNull();
    expect(refusal({ ...malformed, fuel: "1" })?.code).toBe("result_mismatch");
  });

  it("of a machine never ends by its fuel, which only bounds its bill", () => {
    const machine = opened({ order: { driver: "qemu", assurance: "deterministic-vm", terms: "on-result", budgetNanos: "1000" } });
    const all = { exitCode: null, fuel: machine.fuelMax };
    expect(machine.fuelBound).toBe("budget");
    for (const reason of ["budget", "fuel-limit"] as const)
      expect(refusal({ ...all, reason }, machine)?.code, reason).toBe("result_mismatch");
  });

  it("has an exit code only where a guest's program gave one", () => {
    expect(refusal({ reason: "server-failed", exitCode: 1 })?.code).toBe("result_mismatch");
    expect(refusal({ reason: "server-failed", exitCode: null, fuel: "0" })).toBeNull();
  });

  it("that says nothing ran has used nothing", () => {
    expect(refusal({ reason: "job-refused", exitCode: null, fuel: "1" })?.code).toBe("result_mismatch");
    expect(refusal({ reason: "job-refused", exitCode: null, fuel: "0", usedMs: 1 })?.code).toBe("result_mismatch");
    expect(refusal({ reason: "job-refused", exitCode: null, fuel: "0" })).toBeNull();
  });

  it("says that an image could not be fetched only where its order asks for that", () => {
    const machine = { driver: "qemu", assurance: "isolated", terms: "by-interval" } as const;
    const unfetched = { reason: "image-unfetched", exitCode: null, fuel: "0", engine: "vm" } as const;
    expect(refusal(unfetched, opened({ order: { ...machine, conditions: [FETCH_CONDITION] } }))).toBeNull();
    expect(refusal({ ...unfetched, usedMs: 1 }, opened({ order: { ...machine, conditions: [FETCH_CONDITION] } }))?.code).toBe(
      "result_mismatch",
    );
    expect(refusal(unfetched, opened({ order: machine }))?.code).toBe("result_mismatch");
    expect(refusal(unfetched, opened({ order: { conditions: [FETCH_CONDITION] } }))?.code).toBe("result_mismatch");
  });

  it("names a limit only where it was reached", () => {
    const lease = opened();
    const outside = { reason: "time-limit", exitCode: null } as const;
    expect(refusal(outside)?.code).toBe("result_mismatch");
    expect(refusal({ ...outside, usedMs: lease.durationMsMax - 1 })?.code).toBe("result_mismatch");
    expect(refusal({ ...outside, usedMs: lease.durationMsMax })).toBeNull();
    const fuel = opened({ order: { fuelMax: "7000000000" } });
    expect(fuel.fuelBound).toBe("fuel-limit");
    expect(refusal({ reason: "fuel-limit", exitCode: null, fuel: "6999999999" }, fuel)?.code).toBe("result_mismatch");
    expect(refusal({ reason: "fuel-limit", exitCode: null, fuel: "7000000000" }, fuel)).toBeNull();
    expect(refusal({ reason: "budget", exitCode: null, fuel: "7000000000" }, fuel)?.code).toBe("result_mismatch");
  });

  it("says that somebody stopped it only where somebody did", () => {
    const stop = { reason: "customer-stop", exitCode: null } as const;
    expect(refusal(stop)?.code).toBe("result_mismatch");
    expect(refusal(stop, told(opened(), "stop"))).toBeNull();
  });

  it("has the exit code of a program that was asked to end only where no other run is held against it", () => {
    const stop = { reason: "customer-stop", exitCode: 143 } as const;
    expect(refusal(stop, told(opened(), "stop"))?.code).toBe("result_mismatch");
    expect(refusal(stop, told(opened(VM), "stop"))).toBeNull();
  });

  it("shows a state where a segment came to its end, and of a whole job none", () => {
    const lease = opened({ order: { segment: true } });
    const nothing = { exitCode: null, fuel: "0", stateRoot: null } as const;
    expect(refusal({ stateRoot: "state" })?.code).toBe("result_mismatch");
    for (const reason of ["completed", "segment-end"] as const)
      expect(refusal({ reason, exitCode: null, stateRoot: null }, lease)?.code, reason).toBe("result_mismatch");
    for (const reason of ["server-failed", "module-malformed"] as const) expect(refusal({ ...nothing, reason }, lease), reason).toBeNull();
  });

  it("ends with a segment only where one was ordered", () => {
    const segment = { reason: "segment-end", exitCode: null, stateRoot: "state" } as const;
    expect(refusal(segment)?.code).toBe("result_mismatch");
    expect(refusal(segment, opened({ order: { segment: true } }))).toBeNull();
    // a job's own fuel limit is not the lease's where a part of it was ordered
    expect(refusal({ reason: "fuel-limit", exitCode: null, stateRoot: "state" }, opened({ order: { segment: true } }))).toBeNull();
  });

  it("blames missing inputs only after its customer's time is over", () => {
    const lease = opened();
    const missing = { reason: "input-missing", exitCode: null, fuel: "0" } as const;
    expect(refusal(missing)?.code).toBe("too_early");
    const { startBy, timings } = lease;
    const waited = (from: Lease, until: number): Lease => {
      let heard = from;
      for (let sequence = 1; heard.heardAt + timings.claimIntervalMs < until; sequence++)
        heard = claimed(
          heard,
          { usedMs: 0, sequence, previous: heard.lastClaim?.id ?? "opening" },
          heard.heardAt + timings.claimIntervalMs,
        );
      return heard;
    };
    const heard = waited(lease, startBy);
    const at = (from: Lease, time: number) =>
      refusalOf(from, "result", { at: time, content: { ...missing, lastClaim: from.lastClaim?.id ?? "opening" } });
    expect(at(heard, startBy)).toBeNull();
    expect(at(heard, startBy - 1)?.code).toBe("too_early");
    // a server that was not heard all the while cannot say that it was its customer
    for (const time of [startBy, startBy + 1_000_000]) expect(at(lease, time)?.code).toBe("too_early");
  });

  it("never blames missing inputs on a customer that had stopped it", () => {
    const stopped = told(opened(), "stop", { at: ISSUED_AT + 1_000 });
    const content = { reason: "input-missing", exitCode: null, fuel: "0" } as const;
    expect(refusalOf(stopped, "result", { at: inputsByOf(stopped, stopped.toldAt), content })?.code).toBe("result_mismatch");
  });
});

describe("pay", () => {
  it("follows delivery where there is something to deliver and it is paid by result", () => {
    const state = (content: Partial<ResultContent>, terms: Terms = {}) => told(opened(terms), "result", { content }).state;
    expect(state({})).toBe("delivering");
    expect(state(NO_BYTES)).toBe("ended");
    expect(state({ ...NO_BYTES, stderrDigest: "ab" })).toBe("delivering");
    expect(state({ reason: "server-failed", exitCode: null })).toBe("ended");
    expect(state({ reason: "job-refused", exitCode: null, fuel: "0" })).toBe("ended");
    expect(state({}, { order: { terms: "by-interval" } })).toBe("ended");
  });
});

describe("replicas", () => {
  const lease = opened(REPLICAS);
  const committed = told(lease, "commitment");
  const revealed = told(committed, "reveal");
  const id = "result";

  it("show only what they have committed to, after all have", () => {
    expect(refusalOf(lease, "result", { id })?.code).toBe("wrong_state");
    expect(refusalOf(committed, "result", { id })?.code).toBe("wrong_state");
    expect(refusalOf(revealed, "result", { id: "another" })?.code).toBe("result_mismatch");
    expect(refusalOf(revealed, "result", { id })).toBeNull();
  });

  it("tell their host's failure before, never after", () => {
    const failed = { id, content: { reason: "server-failed", exitCode: null } } as const;
    expect(refusalOf(lease, "result", failed)).toBeNull();
    expect(refusalOf(revealed, "result", failed)?.code).toBe("result_mismatch");
  });

  it("commit however they ended, where they are paid for what can be run again", () => {
    const stopping = told(lease, "stop");
    const stopped = { id, content: { reason: "customer-stop", exitCode: null, fuel: "5" } } as const;
    expect(refusalOf(stopping, "result", stopped)?.code).toBe("wrong_state");
    expect(refusalOf(told(told(stopping, "commitment"), "reveal"), "result", stopped)).toBeNull();
    // nothing was done, and nothing is paid
    expect(refusalOf(stopping, "result", { id, content: { ...stopped.content, fuel: "0" } })).toBeNull();
  });

  it("commit once, and only replicas commit", () => {
    expect(refusalOf(committed, "commitment", { content: { result: "another" } })?.code).toBe("wrong_state");
    expect(refusalOf(opened(), "commitment")?.code).toBe("wrong_state");
    expect(refusalOf(lease, "commitment", { content: { server: "another" } })?.code).toBe("not_yours");
    expect(refusalOf(committed, "reveal", { content: { order: "another" } })?.code).toBe("conflict");
    expect(refusalOf(committed, "reveal", { content: { at: 1 } })?.code).toBe("conflict");
  });
});
