import { describe, expect, it } from "vitest";
import { createSimDriver } from "../drivers/sim/sim-driver.ts";
import { systemTimers } from "@xenoservers/protocol/link";
import type { RunningGuest } from "../drivers/driver.ts";
import { EVENT_NAMES, STAGES, STAGE_NAMES, next, type EventName, type Stage, type StageEvent, type StageName } from "./stages.ts";
import { fakeJob } from "../testing/fake-customer.ts";
import { orderedFor } from "../testing/ordered.ts";

/** The order of a lease's life, here or from another server on: nothing leads back. */
const LIFE: readonly StageName[] = [
  ...(["accepting", "taking", "waiting", "preparing", "beginning", "running", "stopping", "ending"] as const),
  ...(["committed", "ended", "delivering", "over", "released"] as const),
];

async function someGuest(): Promise<RunningGuest> {
  const { job, jobHash } = fakeJob(["run", 0, 0, ""]);
  const ordered = orderedFor({ jobHash });
  const more = { lease: "", fuelMax: 1n, runMsMax: 1, egressBytesUsed: () => 0, trace: null, blobFile: () => "" };
  return (await createSimDriver(systemTimers).prepare({ ...ordered, ...more, work: { kind: "wasm", job } })).begin();
}
const guest = await someGuest();
const stageOf = (is: StageName): Stage => (is === "running" || is === "stopping" ? { is, guest } : { is });
const eventOf = (t: EventName): StageEvent => (t === "began" ? { t, guest } : { t });
const pairs = STAGE_NAMES.flatMap((stage) => EVENT_NAMES.map((event) => [stage, event] as const));

describe("every stage x every event", () => {
  it("is decided: a next stage, or ignored", () => {
    expect(STAGE_NAMES.toSorted()).toEqual(LIFE.toSorted());
    expect(pairs).toHaveLength(13 * 13);
    for (const [stage, event] of pairs) {
      const to = STAGES[stage].on[event];
      expect(to === null || STAGE_NAMES.includes(to), `${stage} x ${event}`).toBe(true);
      expect(next(stageOf(stage), eventOf(event))?.is ?? null).toBe(to);
    }
  });

  it("never leads back, and every step is one", () => {
    for (const [stage, event] of pairs) {
      const to = STAGES[stage].on[event];
      if (to !== null) expect(LIFE.indexOf(to), `${stage} x ${event}`).toBeGreaterThan(LIFE.indexOf(stage));
    }
  });

  it("can be over from anywhere before, and is let go from anywhere", () => {
    for (const stage of STAGE_NAMES) {
      expect(STAGES[stage].on.over).toBe(stage === "over" || stage === "released" ? null : "over");
      expect(STAGES[stage].on.released).toBe(stage === "released" ? null : "released");
    }
  });

  it("ignores everything once this daemon has let go, and everything but that once it is over", () => {
    for (const event of EVENT_NAMES) {
      expect(next({ is: "released" }, eventOf(event))).toBeNull();
      if (event !== "released") expect(next({ is: "over" }, eventOf(event))).toBeNull();
    }
  });

  it("has a guest where one runs, and nowhere else", () => {
    for (const [stage, event] of pairs) {
      const to = next(stageOf(stage), eventOf(event));
      if (to) expect("guest" in to).toBe(to.is === "running" || to.is === "stopping");
    }
    expect(next({ is: "beginning" }, { t: "began", guest })).toEqual({ is: "running", guest });
  });

  it("signs one end: what finishes twice, or is stopped when it ends, is ignored", () => {
    for (const stage of ["ending", "committed", "ended", "delivering"] as const)
      for (const event of ["finished", "stop", "began", "prepared"] as const)
        expect(STAGES[stage].on[event], `${stage} x ${event}`).toBeNull();
  });

  it("takes room and claims use until the end is signed", () => {
    const room = LIFE.filter((stage) => STAGES[stage].holdsCapacity);
    expect(room).toEqual(LIFE.slice(0, LIFE.indexOf("ending") + 1));
    expect(LIFE.filter((stage) => STAGES[stage].claims)).toEqual(["waiting", "preparing", "beginning", "running", "stopping"]);
  });

  it("reaches every stage from the first of a lease that begins here or comes from another server", () => {
    const reached = new Set<StageName>(["accepting", "taking"]);
    for (const stage of reached) for (const to of Object.values(STAGES[stage].on)) if (to) reached.add(to);
    expect([...reached].toSorted()).toEqual(STAGE_NAMES.toSorted());
  });
});
