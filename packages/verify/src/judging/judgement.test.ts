/** Two signed results before the judge: what convicts, what bears out, what decides nothing. */
import { endRootOf, segmentHashOf, type Payload } from "@xenoservers/protocol";
import { createSigner, nodeCrypto as crypto } from "@xenoservers/protocol/node";
import { describe, expect, it } from "vitest";
import { storyOf } from "../testing/stories.ts";
import { refereeProblem, resultDifference } from "./comparison.ts";
import { judgeReferees } from "./judged-review.ts";
import { judge } from "./judgement.ts";

const { play } = storyOf({ crypto, createSigner }, "a lie, shown by one segment", 19);
const result = play.of("result").document.payload;
const trace = play.of("trace").document.payload;
const other = (over: Partial<Payload<"result">>): Payload<"result"> => ({ ...result, ...over });
const OTHER = "ab".repeat(32);
const UNDER = { driver: "wasm", assurance: "replicated" } as const;
const MACHINE = { driver: "qemu", assurance: "deterministic-vm" } as const;

describe("a whole job", () => {
  const whole = (over: Partial<Payload<"result">>, accused = result) => judge(crypto, accused, other(over), UNDER, null);

  it("is borne out by the same, whenever it ran, and by nothing else", () => {
    expect(whole({ usedMs: 9, nonce: OTHER, lease: OTHER })).toEqual({ ok: true, difference: null });
    for (const over of [
      { fuel: "1" },
      { exitCode: 1 },
      { memoryHash: OTHER },
      { stdoutDigest: OTHER },
      { stderrDigest: OTHER },
      { outputDigest: OTHER },
    ])
      expect(whole(over)).toMatchObject({ ok: true, difference: expect.stringContaining("the server signed") });
  });

  it("is decided by nothing that another machine need not come to", () => {
    for (const reason of ["server-failed", "vm-crashed", "job-refused"] as const) {
      expect(whole({ reason, exitCode: null }).ok, reason).toBe(false);
      // nor is whoever was stopped accused by a run that went to its end
      expect(whole({ stdoutDigest: OTHER }, other({ reason, exitCode: null })).ok, reason).toBe(false);
    }
    expect(whole({ jobHash: OTHER }).ok).toBe(false);
    expect(whole({ engine: "engine-2" }).ok).toBe(false);
    expect(refereeProblem(result, other({ engine: "engine-2" }), UNDER)).toContain("the engines differ");
    expect(resultDifference(result, result)).toBeNull();
  });

  const cut = (over: Partial<Payload<"result">>) => other({ exitCode: null, memoryHash: null, ...over });

  it("that was stopped is run again up to there: what it had written by then, and that it got so far", () => {
    const stopped = cut({ reason: "customer-stop", fuel: "500" });
    const upTo = (over: Partial<Payload<"result">>) =>
      judge(crypto, stopped, cut({ reason: "fuel-limit", fuel: "510", fuelMax: "500", ...over }), UNDER, null);
    expect(upTo({})).toEqual({ ok: true, difference: null });
    expect(upTo({ reason: "budget", memoryHash: OTHER })).toEqual({ ok: true, difference: null });
    expect(upTo({ stdoutDigest: OTHER })).toMatchObject({ difference: expect.stringContaining("standard output") });
    expect(upTo({ reason: "completed", exitCode: 0, fuel: "499" })).toMatchObject({ difference: expect.stringContaining("fuel 500") });
    expect(upTo({ reason: "completed", exitCode: 0, fuel: "500" })).toEqual({ ok: true, difference: null });
    // under another limit it would have written less, or more
    for (const fuelMax of ["499", "501", result.fuelMax])
      expect(upTo({ fuelMax })).toMatchObject({ ok: false, why: expect.stringContaining("up to") });
    expect(upTo({ reason: "customer-stop" }).ok).toBe(false);
    expect(judge(crypto, { ...stopped, fuel: "0" }, stopped, UNDER, null).ok).toBe(false);
  });

  it("that used up its budget is run again under the same limit, and is compared whole", () => {
    const spent = cut({ reason: "budget", fuel: "505", fuelMax: "500", memoryHash: OTHER });
    const again = (over: Partial<Payload<"result">>) => judge(crypto, spent, { ...spent, reason: "fuel-limit", ...over }, UNDER, null);
    expect(again({})).toEqual({ ok: true, difference: null });
    for (const over of [{ fuel: "506" }, { memoryHash: result.memoryHash }, { outputDigest: OTHER }])
      expect(again(over)).toMatchObject({ ok: true, difference: expect.stringContaining("the server signed") });
    expect(again({ reason: "completed", exitCode: 0, fuel: "400" })).toMatchObject({ difference: expect.stringContaining("ending") });
    expect(again({ fuelMax: "600" }).ok).toBe(false);
  });

  it("that came to its own end is not convicted by a run that was given less", () => {
    const less = cut({ reason: "fuel-limit", fuel: "10", fuelMax: "10" });
    expect(judge(crypto, result, less, UNDER, null)).toMatchObject({ ok: false, why: expect.stringContaining("up to 10") });
    expect(judge(crypto, result, { ...less, fuelMax: result.fuelMax, fuel: result.fuelMax }, UNDER, null)).toMatchObject({
      difference: expect.stringContaining("ending"),
    });
  });

  it("of a machine is the same within what its end may burn", () => {
    const machine = other({ engine: "qemu-1", fuel: "30000000000" });
    const apart = (fuel: string) => judge(crypto, machine, { ...machine, fuel }, MACHINE, null);
    expect(apart("30000000001")).toEqual({ ok: true, difference: null });
    expect(apart("50000000000")).toEqual({ ok: true, difference: null });
    expect(apart("50000000001")).toMatchObject({ difference: expect.stringContaining("fuel") });
  });
});

describe("one segment", () => {
  const from = (segment: number) => (segment === 1 ? null : (trace.roots[segment - 2] ?? null));
  const hashOf = (index: number, upTo: string | null): string =>
    segmentHashOf(crypto, trace.jobHash, { from: from(index), step: trace.step, index, upTo });
  const ran = (segment: number, stateRoot: string | null, over: Partial<Payload<"result">> = {}) =>
    judge(crypto, result, other({ jobHash: hashOf(segment, null), stateRoot, ...over }), UNDER, { trace, segment });

  it("is compared with the root that the server signed, and the last with its result", () => {
    for (const segment of [1, 2, 3, 4]) {
      expect(ran(segment, trace.roots[segment - 1] ?? null)).toEqual({ ok: true, difference: null });
      expect(ran(segment, OTHER)).toMatchObject({ difference: expect.stringContaining(`at breakpoint ${segment} of 4`) });
    }
    expect(ran(5, endRootOf(crypto, result))).toEqual({ ok: true, difference: null });
    expect(ran(5, OTHER)).toMatchObject({ difference: expect.stringContaining("of its ending after breakpoint 4") });
  });

  const cut = { exitCode: null, fuel: "505" } as const;

  it("of a job that used up its limit is run under that limit, and the last compared whole", () => {
    const spent = other({ ...cut, reason: "budget", fuelMax: "500" });
    const there = (segment: number, stateRoot: string, upTo: string | null) =>
      judge(crypto, spent, other({ jobHash: hashOf(segment, upTo), stateRoot, reason: "fuel-limit" }), UNDER, { trace, segment });
    expect(there(2, trace.roots[1] ?? "", "500")).toEqual({ ok: true, difference: null });
    expect(there(2, OTHER, "500")).toMatchObject({ difference: expect.stringContaining("at breakpoint 2") });
    expect(there(5, endRootOf(crypto, { ...spent, reason: "fuel-limit" }), "500")).toEqual({ ok: true, difference: null });
    expect(there(5, OTHER, "500")).toMatchObject({ difference: expect.stringContaining("of its ending") });
    // under another limit it is another run
    for (const upTo of [null, "499", "501"]) expect(there(2, OTHER, upTo).ok).toBe(false);
  });

  it("of a job that was stopped is run up to there, and the last compared by what it had put out, and by whether it got so far", () => {
    const stopped = other({ ...cut, reason: "customer-stop", memoryHash: null });
    const last = (over: Partial<Payload<"result">>, inAll = "505") => {
      const ruling = other({ ...cut, reason: "fuel-limit", jobHash: hashOf(5, "505"), ...over });
      const stateRoot = endRootOf(crypto, { ...ruling, fuel: inAll });
      return judge(crypto, stopped, { ...ruling, fuel: "5", stateRoot }, UNDER, { trace, segment: 5 });
    };
    expect(last({})).toEqual({ ok: true, difference: null });
    expect(last({ memoryHash: OTHER }, "510")).toEqual({ ok: true, difference: null });
    for (const over of [{ stdoutDigest: OTHER }, { stderrDigest: OTHER }, { outputDigest: OTHER }])
      expect(last(over)).toMatchObject({ difference: expect.stringContaining("the server signed") });
    expect(last({ reason: "completed", exitCode: 0 })).toEqual({ ok: true, difference: null });
    expect(last({ reason: "completed", exitCode: 0 }, "400")).toMatchObject({
      difference: expect.stringContaining("come to its end before"),
    });
    expect(judge(crypto, { ...stopped, fuel: "0" }, stopped, UNDER, { trace, segment: 5 }).ok).toBe(false);
  });

  it("decides nothing where it is another, has no state, or there is no trace", () => {
    expect(ran(2, OTHER, { jobHash: OTHER })).toMatchObject({ ok: false, why: "the referee ran another segment" });
    expect(ran(2, null)).toMatchObject({ ok: false });
    expect(ran(2, OTHER, { engine: "engine-2" })).toMatchObject({ ok: false });
    expect(ran(6, OTHER)).toMatchObject({ ok: false, why: "the trace has 4 breakpoints" });
    expect(judge(crypto, result, result, UNDER, { trace: null, segment: 1 })).toMatchObject({
      ok: false,
      why: "the server has signed no trace",
    });
    expect(judge(crypto, result, result, UNDER, { trace: { ...trace, detail: "the disk was full" }, segment: 1 })).toMatchObject({
      ok: false,
    });
  });
});

describe("two referees of one segment", () => {
  const root = "cd".repeat(32);
  const first = other({ reason: "fuel-limit", exitCode: null, stateRoot: root });

  it("agree where both came to the same state and say the same of it", () => {
    expect(judgeReferees(first, { ...first, lease: OTHER, nonce: OTHER, usedMs: 1 }, UNDER)).toEqual({ ok: true, difference: null });
  });

  it("contradict each other by the state, and by whatever else they say of it", () => {
    for (const over of [
      { stateRoot: OTHER },
      { stderrDigest: OTHER },
      { stdoutDigest: OTHER },
      { outputDigest: OTHER },
      { memoryHash: OTHER },
    ])
      expect(judgeReferees(first, { ...first, ...over }, UNDER), JSON.stringify(over)).toMatchObject({
        ok: true,
        difference: expect.stringContaining("the server signed"),
      });
  });

  it("of different segments, engines or kinds of run say nothing of each other", () => {
    for (const over of [{ jobHash: OTHER }, { engine: "engine-2" }, { stateRoot: null }])
      expect(judgeReferees(first, { ...first, ...over }, UNDER).ok, JSON.stringify(over)).toBe(false);
  });
});
