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
      new LeaseClock(ctx, () => {}).needHere();
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
