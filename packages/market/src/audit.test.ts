import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { AUDIT_RATE_FLOOR, auditRate } from "./audit.ts";
import { EMPTY_RECORD } from "./record.ts";

const record = (audited: number) => ({ ...EMPTY_RECORD, audited });

describe("audits", () => {
  it("look at every job of a newcomer, and never at fewer than one in twenty", () => {
    expect(auditRate(record(0), 1n, 1_000_000n)).toBe(1);
    expect(auditRate(record(4), 1n, 1_000_000n)).toBe(0.5);
    expect(auditRate(record(100_000), 1n, 10n ** 18n)).toBe(AUDIT_RATE_FLOOR);
  });

  it("leave a cheat no expected gain, whatever price and stake", () => {
    fc.assert(
      fc.property(fc.bigInt(0n, 10n ** 15n), fc.bigInt(0n, 10n ** 15n), fc.nat(1_000_000), (due, stake, audited) => {
        const p = auditRate(record(audited), due, stake);
        expect(p).toBeGreaterThanOrEqual(AUDIT_RATE_FLOOR);
        expect(p * Number(stake) - (1 - p) * Number(due)).toBeGreaterThanOrEqual(-1e-3 * Number(due) - 1);
      }),
    );
  });
});
