/** Two signed results before the judge: what convicts, what bears out, what decides nothing. */
import { endRootOf, segmentHashOf, type Payload } from "@xenoservers/protocol";
import { createSigner, nodeCrypto as crypto } from "@xenoservers/protocol/node";
import { describe, expect, it } from "vitest";
import { storyOf } from "../testing/stories.ts";
import { refereeProblem, resultDifference } from "./comparison.ts";
import { judge } from "./judgement.ts";

const { play } = storyOf({ crypto, createSigner }, "a lie, shown by one segment", 19);
const result = play.of("result").document.payload;
const trace = play.of("trace").document.payload;
const other = (over: Partial<Payload<"result">>): Payload<"result"> => ({ ...result, ...over });
const OTHER = "ab".repeat(32);

describe("a whole job", () => {
  const whole = (over: Partial<Payload<"result">>, accused = result) => judge(crypto, accused, other(over), null);

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
    for (const reason of ["server-failed", "customer-stop", "time-limit", "budget", "vm-crashed"] as const) {
      expect(whole({ reason, exitCode: null }).ok, reason).toBe(false);
      // nor is whoever was stopped accused by a run that went to its end
      expect(whole({ stdoutDigest: OTHER }, other({ reason, exitCode: null })).ok, reason).toBe(false);
    }
    expect(whole({ jobHash: OTHER }).ok).toBe(false);
    expect(whole({ engine: "engine-2" }).ok).toBe(false);
    expect(refereeProblem(result, other({ engine: "engine-2" }))).toContain("the engines differ");
    expect(resultDifference(result, result)).toBeNull();
  });

  it("of a machine is the same within what its end may burn", () => {
    const machine = other({ engine: "qemu-1", fuel: "30000000000" });
    const apart = (fuel: string) => judge(crypto, machine, { ...machine, fuel }, null);
    expect(apart("30000000001")).toEqual({ ok: true, difference: null });
    expect(apart("50000000000")).toEqual({ ok: true, difference: null });
    expect(apart("50000000001")).toMatchObject({ difference: expect.stringContaining("fuel") });
  });
});

describe("one segment", () => {
  const from = (segment: number) => (segment === 1 ? null : (trace.roots[segment - 2] ?? null));
  const ran = (segment: number, stateRoot: string | null, over: Partial<Payload<"result">> = {}) =>
    judge(
      crypto,
      result,
      other({
        jobHash: segmentHashOf(crypto, trace.jobHash, { from: from(segment), step: trace.step, index: segment }),
        stateRoot,
        ...over,
      }),
      {
        trace,
        segment,
      },
    );

  it("is compared with the root that the server signed, and the last with its result", () => {
    for (const segment of [1, 2, 3, 4]) {
      expect(ran(segment, trace.roots[segment - 1] ?? null)).toEqual({ ok: true, difference: null });
      expect(ran(segment, OTHER)).toMatchObject({ difference: expect.stringContaining(`at breakpoint ${segment} of 4`) });
    }
    expect(ran(5, endRootOf(crypto, result))).toEqual({ ok: true, difference: null });
    expect(ran(5, OTHER)).toMatchObject({ difference: expect.stringContaining("of its ending after breakpoint 4") });
  });

  it("decides nothing where it is another, has no state, or there is no trace", () => {
    expect(ran(2, OTHER, { jobHash: OTHER })).toMatchObject({ ok: false, why: "the referee ran another segment" });
    expect(ran(2, null)).toMatchObject({ ok: false });
    expect(ran(2, OTHER, { engine: "engine-2" })).toMatchObject({ ok: false });
    expect(ran(6, OTHER)).toMatchObject({ ok: false, why: "the trace has 4 breakpoints" });
    expect(judge(crypto, result, result, { trace: null, segment: 1 })).toMatchObject({ ok: false, why: "the server has signed no trace" });
    expect(judge(crypto, result, result, { trace: { ...trace, detail: "the disk was full" }, segment: 1 })).toMatchObject({ ok: false });
  });
});
