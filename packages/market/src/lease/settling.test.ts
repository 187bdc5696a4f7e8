/** Closing and settlement say what the fold says, in every field. */
import { describe, expect, it } from "vitest";
import { dueAt } from "./deadlines.ts";
import type { SettlementContent } from "./facts.ts";
import { claimed, delivering, ended, opened, refusalOf, settled, told } from "./lease.fixture.ts";

const failed = () => told(opened(), "result", { content: { reason: "server-failed", exitCode: null, fuel: "0" } });

describe("a closing", () => {
  it("has its result's reason, and no other", () => {
    expect(refusalOf(ended(), "closing")).toBeNull();
    expect(refusalOf(ended(), "closing", { content: { reason: "server-failed" } })?.code).toBe("result_mismatch");
    expect(refusalOf(failed(), "closing", { content: { reason: "completed" } })?.code).toBe("result_mismatch");
    expect(told(failed(), "closing").closing?.reason).toBe("server-failed");
  });

  it("waits for the bytes, and for silence to have lasted", () => {
    expect(refusalOf(delivering(), "closing", { content: { reason: "completed" } })?.code).toBe("too_early");
    expect(refusalOf(delivering(), "closing", { at: dueAt(delivering()), content: { reason: "completed" } })?.code).toBe("result_mismatch");
    expect(refusalOf(opened(), "closing", { content: { reason: "server-unreachable" } })?.code).toBe("too_early");
    const lease = claimed(opened());
    expect(refusalOf(lease, "closing", { at: dueAt(lease), content: { reason: "not-started" } })?.code).toBe("result_mismatch");
    expect(refusalOf(lease, "closing", { at: dueAt(lease) })).toBeNull();
  });

  it("names the last claim and the log's time", () => {
    expect(refusalOf(ended(), "closing", { content: { lastClaim: "another" } })?.code).toBe("conflict");
    expect(refusalOf(ended(), "closing", { content: { at: 1 } })?.code).toBe("conflict");
  });
});

describe("a settlement", () => {
  const closed = told(ended(), "closing");

  it.each([
    ["reason", "server-failed"],
    ["blame", "owner"],
    ["billableMs", 7],
    ["billableFuel", "1"],
    ["billableEgressBytes", 1],
    ["dueNanos", "1"],
    ["feeNanos", "1"],
    ["ownerNanos", "1"],
    ["refundNanos", "1"],
    ["windowEndsAt", 1],
  ] satisfies [keyof SettlementContent, unknown][])("with another %s is wrong", (key, value) => {
    expect(refusalOf(closed, "settlement", { content: { [key]: value } })?.code).toBe("bill_mismatch");
  });

  it("is of this closing and this result", () => {
    expect(refusalOf(closed, "settlement")).toBeNull();
    expect(refusalOf(closed, "settlement", { content: { closing: "another" } })?.code).toBe("conflict");
    expect(refusalOf(closed, "settlement", { content: { result: null } })?.code).toBe("conflict");
    expect(refusalOf(ended(), "settlement")?.code).toBe("wrong_state");
    expect(refusalOf(settled(), "settlement")?.code).toBe("wrong_state");
  });

  it("pays nothing where the host failed, whatever was used", () => {
    const lease = told(claimed(opened()), "result", { content: { reason: "server-failed", exitCode: null } });
    expect(told(told(lease, "closing"), "settlement").end).toMatchObject({ dueNanos: "0", blame: "owner", refundNanos: lease.holdNanos });
  });
});
