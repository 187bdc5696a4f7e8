import { describe, expect, it } from "vitest";
import { END_REASONS, TERMS } from "./lease/terms.ts";
import { EMPTY_RECORD, recordAfter } from "./record.ts";

describe("an owner's record", () => {
  it.each(END_REASONS)("counts %s as its row says", (reason) => {
    const after = recordAfter(EMPTY_RECORD, { reason, audited: null }, "none");
    const { record } = TERMS[reason];
    expect(after).toEqual({ ...EMPTY_RECORD, leases: 1, completed: record === "kept" ? 1 : 0, ownerFailures: record === "failed" ? 1 : 0 });
  });

  it("improves by audits that the log drew and no others, and begins anew with a verdict", () => {
    const drawn = { reason: "completed", audited: true } as const;
    const known = { ...EMPTY_RECORD, audited: 7 };
    expect(recordAfter(known, drawn, "right").audited).toBe(8);
    for (const audited of [false, null]) expect(recordAfter(known, { ...drawn, audited }, "right").audited).toBe(7);
    expect(recordAfter(known, drawn, "none").audited).toBe(7);
    expect(recordAfter(known, { ...drawn, audited: null }, "wrong")).toMatchObject({ audited: 0, convicted: 1 });
  });
});
