/** The timings of a lease: what its market announces, customer and owner sign, and the purchase order freezes; all in ms of log time. */
export interface LeaseTimings {
  acceptWithinMs: number;
  /** From the last moment for the acceptance: until then the job's bytes may come and the guest may start. */
  startWithinMs: number;
  /** I: a claim at least this often. */
  claimIntervalMs: number;
  /** G: the server pauses and the broker gives up after this silence. */
  graceMs: number;
  /** From the result: until then its bytes reach the customer, or lie sealed with the broker. */
  deliverWithinMs: number;
  disputeWindowMs: number;
  /** From an objection: until then the operator rules. */
  ruleWithinMs: number;
}

export const DEFAULT_TIMINGS: LeaseTimings = {
  acceptWithinMs: 5_000,
  startWithinMs: 60_000,
  claimIntervalMs: 10_000,
  graceMs: 30_000,
  deliverWithinMs: 60_000,
  disputeWindowMs: 60_000,
  ruleWithinMs: 7 * 86_400_000,
};

export const TIMING_KEYS = Object.keys(DEFAULT_TIMINGS) as (keyof LeaseTimings)[];

export const sameTimings = (one: LeaseTimings, other: LeaseTimings): boolean => TIMING_KEYS.every((key) => one[key] === other[key]);

/** Waiting past the grace before anything else is done with the slot, so that a paused server and the broker never both act. */
export function unreachableAfterMs({ claimIntervalMs, graceMs }: LeaseTimings): number {
  return claimIntervalMs + graceMs + Math.ceil(graceMs / 10);
}

/** How long before it holds a higher fee stands in the log. */
export const FEE_NOTICE_MS = 86_400_000;
