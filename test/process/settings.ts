/** How a test's market is set up. */
import type { LeaseTimings } from "@xenoservers/market";

/** Longer than any stall of a busy machine: nobody's silence is taken for an end. */
export const PATIENT: LeaseTimings = {
  acceptWithinMs: 300_000,
  startWithinMs: 600_000,
  claimIntervalMs: 10_000,
  graceMs: 1_800_000,
  deliverWithinMs: 1_800_000,
  disputeWindowMs: 7_200_000,
  ruleWithinMs: 86_400_000,
};

/** A server that is the same whatever else is installed here, and compiles nothing ahead for guests that may never come. */
export const WASM_ALONE = "pool = 0\n[vm]\nenabled = false\n";

/** What the launcher starts a broker's Node with: how much of its newest memory V8 keeps, which is as much as the host is large otherwise. */
export const BROKER_HEAP = "--max-semi-space-size=8";
