/**
 * The lease's state machine, in one place. Inputs come from signed documents of all three parties and from the broker's timers.
 *
 *   purchase-order        acceptance+opening          result | timer                window over
 *  ──────────────▶ bound ───────────────────▶ open ───────────────▶ settled ───────────────────▶ final
 *                    │                         │  stop / amendment     ▲  │ objection       ▲
 *                    │ acceptBy missed         └──────▶ stopping ──────┘  └──▶ disputed ────┘ ruling, verdict
 *                    ▼                                  (result or grace)
 *                  lapsed  (the order is matched again with a higher attempt)
 */
export const LEASE_STATES = ["bound", "open", "stopping", "settled", "disputed", "final", "lapsed"] as const;
export type LeaseState = (typeof LEASE_STATES)[number];

export const LEASE_EVENTS = ["accept", "claim", "extend", "stop", "settle", "object", "rule", "convict", "window-over", "lapse"] as const;
export type LeaseEvent = (typeof LEASE_EVENTS)[number];

const NEXT: Record<LeaseState, Partial<Record<LeaseEvent, LeaseState>>> = {
  bound: { accept: "open", lapse: "lapsed", stop: "lapsed" },
  open: { claim: "open", extend: "open", stop: "stopping", settle: "settled" },
  stopping: { claim: "stopping", settle: "settled" },
  settled: { object: "disputed", convict: "final", "window-over": "final" },
  disputed: { rule: "final", convict: "final", "window-over": "final" },
  final: {},
  lapsed: {},
};

/** The state after `event`, or null where the event is not allowed in `state`. */
export function nextLeaseState(state: LeaseState, event: LeaseEvent): LeaseState | null {
  return NEXT[state][event] ?? null;
}

/** Whether the lease still holds money and capacity. */
export function isLive(state: LeaseState): boolean {
  return state === "bound" || state === "open" || state === "stopping";
}

/** The timings that a purchase order freezes; all in ms. */
export interface LeaseTimings {
  acceptWithinMs: number;
  startWithinMs: number;
  /** I: a claim at least this often. */
  claimIntervalMs: number;
  /** G: the server pauses and the broker gives up after this silence. */
  graceMs: number;
  disputeWindowMs: number;
}

export const DEFAULT_TIMINGS: LeaseTimings = {
  acceptWithinMs: 5_000,
  startWithinMs: 60_000,
  claimIntervalMs: 10_000,
  graceMs: 30_000,
  disputeWindowMs: 60_000,
};

/** Waiting past the grace before anything else is done with the slot, so that a paused server and the broker never both act. */
export function unreachableAfterMs(timings: LeaseTimings): number {
  return timings.claimIntervalMs + timings.graceMs + Math.ceil(timings.graceMs / 10);
}
