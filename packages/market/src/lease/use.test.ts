/** Claims: chained, never less, never more than the clock, and counted once the broker has receipted them. */
import { describe, expect, it } from "vitest";
import { checkClaim } from "./use.ts";
import { claimed, opened, refusalOf, told } from "./lease.fixture.ts";

describe("a claim", () => {
  const last = { id: "a", incarnation: 1, sequence: 3, usedMs: 100, egressBytes: 10 };
  const next = { id: "b", incarnation: 1, sequence: 4, usedMs: 200, egressBytes: 10, previous: "a" };
  it.each([
    [null, {}, 500],
    [null, { incarnation: 2 }, 500],
    ["claim_out_of_order", { sequence: 5 }, 500],
    ["claim_out_of_order", { incarnation: 0 }, 500],
    ["claim_out_of_order", { sequence: 3 }, 500],
    ["claim_chain_broken", { previous: "x" }, 500],
    ["claim_decreasing", { usedMs: 99 }, 500],
    ["claim_decreasing", { egressBytes: 9 }, 500],
    ["claim_too_early", { usedMs: 5000 }, 500],
    ["claim_too_early", { usedMs: 1501 }, 500],
    [null, { usedMs: 1500 }, 500],
  ] as const)("answers %s to %o", (code, over, elapsed) => {
    expect(checkClaim(last, { ...next, ...over }, elapsed)).toBe(code);
  });

  it("counts once its receipt says the same", () => {
    const lease = told(opened(), "claim", { at: opened().toldAt + 10_000 });
    expect(lease.lastClaim).toBeNull();
    expect(told(lease, "claim-receipt").lastClaim?.usedMs).toBe(100);
    for (const content of [{ claim: "another" }, { usedMs: 99 }, { sequence: 2 }, { egressBytes: 1 }, { at: 1 }])
      expect(refusalOf(lease, "claim-receipt", { content })?.code).toBe("conflict");
    expect(refusalOf(opened(), "claim-receipt")?.code).toBe("conflict");
  });

  it("goes on under a new incarnation from the last receipted one, after a server has lost its disk", () => {
    const lease = claimed(told(opened(), "claim"), { incarnation: 5, sequence: 1, previous: opened().openingId ?? "" });
    expect(lease.lastClaim).toMatchObject({ incarnation: 5, sequence: 1 });
    expect(refusalOf(lease, "claim", { content: { incarnation: 1 } })?.code).toBe("claim_out_of_order");
  });

  it("is not taken once a result was committed to or stated", () => {
    const replica = told(opened({ order: { replicas: 2, assurance: "replicated" } }), "commitment");
    expect(refusalOf(replica, "claim")?.code).toBe("wrong_state");
    expect(refusalOf(told(opened(), "result"), "claim")?.code).toBe("wrong_state");
    // a claim that was never receipted is void with the closing
    const lease = told(opened(), "claim");
    expect(told(lease, "closing", { at: lease.toldAt + 100_000 })).toMatchObject({ openClaim: null, lastClaim: null });
  });
});
