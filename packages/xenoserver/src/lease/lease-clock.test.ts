import { expect, it } from "vitest";
import type { LeaseRecord } from "./journal.ts";
import type { LeaseContext } from "./lease-context.ts";
import { LeaseClock } from "./lease-clock.ts";

const ENVELOPE = { payloadType: "", payload: "", signatures: [{ keyid: "", sig: "" }] };

it("says of a guest where what is done with it now is of no consequence: standing still to be moved, or handed over", () => {
  const problem = (record: Partial<LeaseRecord>): string => {
    const guest = { token: {}, startedMonotonicMs: 0, pausedMs: 0, stands: null };
    const ctx = { record: { guest, handover: null, ...record } } as unknown as LeaseContext;
    try {
      new LeaseClock(
        ctx,
        () => {},
        () => {},
      ).needHere();
      return "";
    } catch (error) {
      return String(error);
    }
  };
  const standing = (why: "moving" | "unheard"): Partial<LeaseRecord> =>
    ({ guest: { token: {}, startedMonotonicMs: 0, pausedMs: 0, stands: { sinceMonotonicMs: 0, why: [why] } } }) as Partial<LeaseRecord>;
  expect(problem({})).toBe("");
  expect(problem({ guest: null })).toBe("");
  expect(problem(standing("unheard"))).toBe("");
  expect(problem(standing("moving"))).toContain("ask again in a moment");
  expect(problem({ handover: ENVELOPE } as Partial<LeaseRecord>)).toContain("ask again in a moment");
});

it("pauses at its customer's word so that it can always be told to go on: by the next daemon, and where the guest did not do it", async () => {
  const did: string[] = [];
  let [fails, ends] = [false, false];
  const told = (what: string) => async (): Promise<void> => {
    did.push(what);
    if (ends) stage = { is: "over" };
    if (fails) throw new Error("the toolstack does not answer");
  };
  const guest = { pause: told("pause"), resume: told("resume") };
  const record = { guest: { stands: null }, handover: null, pausedByCustomer: false };
  let stage: object = { is: "running", guest };
  const save = async (): Promise<void> => void did.push(`saved as ${record.pausedByCustomer ? "paused" : "running"}`);
  const clock = new LeaseClock(
    { record, save, stage: () => stage } as unknown as LeaseContext,
    () => {},
    () => void did.push("told"),
  );
  await clock.hold(true);
  await clock.hold(true); // once is enough
  expect(did.splice(0)).toEqual(["saved as paused", "pause", "saved as paused", "told"]);
  fails = true;
  await expect(clock.hold(false)).rejects.toThrow("does not answer");
  expect(did.splice(0)).toEqual(["resume", "saved as paused"]);
  fails = false;
  await clock.hold(false);
  expect(did.splice(0)).toEqual(["resume", "saved as running", "told"]);
  fails = true;
  await expect(clock.hold(true)).rejects.toThrow("does not answer");
  expect(did.splice(0)).toEqual(["saved as paused", "pause", "saved as running"]);
  // nor is anything written of a lease that is over when its guest answers
  ends = true;
  await expect(clock.hold(true)).rejects.toThrow("does not answer");
  expect(did).toEqual(["saved as paused", "pause"]);
});

it("knows until when an earlier daemon followed the guest by what it claimed, and not of one that stood still or was to go on", () => {
  const guest = { token: {}, startedMonotonicMs: 5_000, pausedMs: 300, stands: null };
  const until = (record: object, claimedMs = 0): number | undefined =>
    new LeaseClock(
      {
        record: { guest, pausedByCustomer: false, pendingClaim: null, ...record },
        facts: { lease: { lastClaim: claimedMs === 0 ? null : { usedMs: claimedMs } } },
      } as unknown as LeaseContext,
      () => {},
      () => {},
    ).claimedUntilMs;
  expect(until({})).toBe(5_300);
  expect(until({}, 20_000)).toBe(25_300);
  expect(until({ pendingClaim: { usedMs: 30_000 } }, 20_000)).toBe(35_300);
  expect(until({ guest: null })).toBeUndefined();
  expect(until({ pausedByCustomer: true }, 20_000)).toBeUndefined();
  expect(until({ guest: { ...guest, goesOn: true } }, 20_000)).toBeUndefined();
  expect(until({ guest: { ...guest, stands: { sinceMonotonicMs: 6_000, why: ["unheard"] } } }, 20_000)).toBeUndefined();
});
