import { describe, expect, it } from "vitest";
import { END_REASONS, TERMS } from "./lease/terms.ts";
import { EMPTY_RECORD, isVouchedFor, missesWeigh, recordAfter, recordCorrected, recordMissed } from "./record.ts";

describe("an owner's record", () => {
  it.each(END_REASONS)("counts %s as its row says", (reason) => {
    const after = recordAfter(EMPTY_RECORD, { reason, audited: null, dueNanos: "1" }, "none");
    const { record } = TERMS[reason];
    expect(after).toEqual({ ...EMPTY_RECORD, leases: 1, completed: record === "kept" ? 1 : 0, ownerFailures: record === "failed" ? 1 : 0 });
  });

  it("counts no lease as kept that was ended from outside before anything was paid for", () => {
    const ended = (reason: (typeof END_REASONS)[number], dueNanos: string) =>
      recordAfter(EMPTY_RECORD, { reason, audited: null, dueNanos }, "none").completed;
    for (const reason of ["customer-stop", "time-limit"] as const) expect([ended(reason, "0"), ended(reason, "1")]).toEqual([0, 1]);
    // a job that comes to its end where nothing is asked for it has been run
    expect(ended("completed", "0")).toBe(1);
  });

  it("counts what was missed beside the leases, and says when it weighs more than what was kept", () => {
    const missed = (record: typeof EMPTY_RECORD, times: number) =>
      Array.from({ length: times }).reduce<typeof EMPTY_RECORD>((before) => recordMissed(before), record);
    expect(recordMissed(EMPTY_RECORD)).toEqual({ ...EMPTY_RECORD, missed: 1 });
    expect([0, 2, 3].map((times) => missesWeigh(missed(EMPTY_RECORD, times)))).toEqual([false, false, true]);
    expect([7, 8].map((times) => missesWeigh(missed({ ...EMPTY_RECORD, leases: 5, completed: 5 }, times)))).toEqual([false, true]);
  });

  it("speaks for its owner by right audits, and a stake does; what anybody can make for itself does not", () => {
    expect(isVouchedFor({ ...EMPTY_RECORD, leases: 99, completed: 99 }, 999_999_999n)).toBe(false);
    expect(isVouchedFor({ ...EMPTY_RECORD, audited: 1 }, 0n)).toBe(true);
    expect(isVouchedFor(EMPTY_RECORD, 1_000_000_000n)).toBe(true);
  });

  it("improves by audits that the log drew and no others, and begins anew with a verdict", () => {
    const drawn = { reason: "completed", audited: true, dueNanos: "1" } as const;
    const known = { ...EMPTY_RECORD, audited: 7 };
    expect(recordAfter(known, drawn, "right").audited).toBe(8);
    for (const audited of [false, null]) expect(recordAfter(known, { ...drawn, audited }, "right").audited).toBe(7);
    expect(recordAfter(known, drawn, "none").audited).toBe(7);
    expect(recordAfter(known, { ...drawn, audited: null }, "wrong")).toMatchObject({ audited: 0, convicted: 1 });
  });

  it("is as if there had been no verdict where one is overturned, and no better", () => {
    const known = { ...EMPTY_RECORD, leases: 9, completed: 9, audited: 7 };
    for (const audited of [true, false, null]) {
      const lease = { reason: "completed", audited, dueNanos: "1" } as const;
      const convicted = recordAfter(known, lease, "wrong");
      expect(recordCorrected(convicted, audited, known)).toEqual(recordAfter(known, lease, "right"));
      // right audits since then stay
      const later = recordAfter(convicted, { reason: "completed", audited: true, dueNanos: "1" }, "right");
      expect(recordCorrected(later, audited, known).audited).toBe(recordAfter(known, lease, "right").audited + 1);
      // another verdict has begun them anew
      const again = recordAfter(convicted, lease, "wrong");
      expect(recordCorrected(again, null, known)).toMatchObject({ convicted: 1, audited: 0 });
    }
  });
});
