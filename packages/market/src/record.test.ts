import { describe, expect, it } from "vitest";
import { END_REASONS, TERMS } from "./lease/terms.ts";
import { EMPTY_RECORD, recordAfter } from "./record.ts";

describe("an owner's record", () => {
  it.each(END_REASONS)("counts %s as its row says", (reason) => {
    const after = recordAfter(EMPTY_RECORD, reason, "none");
    const { record } = TERMS[reason];
    expect(after).toEqual({ ...EMPTY_RECORD, leases: 1, completed: record === "kept" ? 1 : 0, ownerFailures: record === "failed" ? 1 : 0 });
  });

  it("improves by audits and suffers by verdicts", () => {
    expect(recordAfter(EMPTY_RECORD, "completed", "right").audited).toBe(1);
    expect(recordAfter(EMPTY_RECORD, "completed", "wrong").convicted).toBe(1);
  });
});
