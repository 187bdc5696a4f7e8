/** The terms' table: what its rows must have to do with each other. */
import { describe, expect, it } from "vitest";
import { BLAMES, END_REASONS, PAYMENT_TERMS, RESULT_REASONS, TERMS, ifServerVanishes, isEndReason, wasRun } from "./terms.ts";

describe("terms", () => {
  it.each(END_REASONS)("%s is paid by its cause", (reason) => {
    const row = TERMS[reason];
    expect(BLAMES).toContain(row.blame);
    // who failed is not paid for a result, and a host's failure not at all
    if (row.blame === "owner" || row.blame === "broker") expect(row.pay["on-result"]).toBe("nothing");
    // what a customer can bring about is never free, nor the owner's blame
    if (row.cause === "customer" || row.cause === "customer-bytes" || row.cause === "customer-limits") {
      expect(row.blame).toBe("customer");
      for (const terms of PAYMENT_TERMS) expect(row.pay[terms]).not.toBe("nothing");
      expect(row.record).not.toBe("failed");
    }
    // what cannot be told harms nobody's record
    if (row.cause === "untold") expect([row.blame, row.record]).toEqual(["nobody", "not-counted"]);
    if (row.record === "failed") expect(row.blame).toBe("owner");
    expect(row.says.length).toBeGreaterThan(10);
  });

  it.each(END_REASONS)("%s is shown by running it again only where a guest ran", (reason) => {
    const row = TERMS[reason];
    if (row.proof !== null) expect([row.ran, row.statedBy]).toEqual([true, "server"]);
    if (row.proof !== null) expect(row.byChance).toBe(row.proof === "stated-fuel");
    if (row.exitCode && !row.byChance) expect(row.proof).toBe("own-end");
    expect(wasRun({ reason, fuel: "1" })).toBe(row.ran);
    if (row.byChance) expect(wasRun({ reason, fuel: "0" })).toBe(false);
  });

  it("lets a server state what it knows, and the broker what nobody said", () => {
    expect(RESULT_REASONS.every((reason) => TERMS[reason].statedBy === "server")).toBe(true);
    expect(END_REASONS.filter((reason) => !RESULT_REASONS.includes(reason)).every((reason) => TERMS[reason].statedBy === "broker")).toBe(
      true,
    );
    expect(["completed", "constructor", "Completed"].map(isEndReason)).toEqual([true, false, false]);
  });

  it("says what a customer loses if the server vanishes", () => {
    expect(ifServerVanishes("on-result")).toContain("no charge");
    expect(ifServerVanishes("by-interval")).toContain("last signed claim");
  });
});
