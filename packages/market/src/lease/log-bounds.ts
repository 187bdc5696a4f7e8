/**
 * How much one lease's log holds at most of what costs nothing to say. Asked by whoever signs or takes such a document; the fold does not
 * ask, so that what was taken before there were bounds folds as it did. Who controls the inputs: the customer (extensions), the server
 * (claims), the owner (moves).
 */
import type { Lease } from "./lease.ts";
import { refused, type LeaseRefusal } from "./refusal.ts";

/** Of an extension in any market, however often its claims are due. */
const LEAST_MS = 1_000;
/** An extension is at least this part of what the lease may run before it: their number grows with the logarithm of its time. */
const LEAST_PART = 4_000;

/**
 * The shortest time, in ms from its opening, to which a lease is extended: by what one claim speaks for, and by a part of what it has; or
 * to all that its owner leases. With claims each 10 s these are 31,000 extensions in a year, where a receipt has room for 50,000.
 */
export function leastExtendedMs({ durationMsMax, maxLeaseMs, timings }: Pick<Lease, "durationMsMax" | "maxLeaseMs" | "timings">): number {
  const byMs = Math.max(LEAST_MS, timings.claimIntervalMs, Math.ceil(durationMsMax / LEAST_PART));
  return Math.min(durationMsMax + byMs, maxLeaseMs);
}

/** Why an extension is too short for its documents; null where it is not, or is none. */
export function shortExtension(lease: Lease, durationMsMax: number): LeaseRefusal | null {
  const leastMs = leastExtendedMs(lease);
  if (durationMsMax >= leastMs || durationMsMax <= lease.durationMsMax) return null;
  const byMs = leastMs - lease.durationMsMax;
  return refused("bad_payload", `must be at least ${leastMs} ms: this lease is extended by ${byMs} ms or more`, {
    path: "durationMsMax",
    leastMs,
  });
}

/** Beyond those that are due: a daemon that starts claims at once, and so does one that hands a lease over. */
const CLAIMS_SPARE = 1_000;
/** In hundred: each is due an interval after the last was answered, never before. A year of so many is what a receipt has room for. */
const CLAIMS_PERCENT = 125;

/** Why the broker does not take a claim of that number yet; null where it does. `at`: in log time. */
export function earlyClaim({ openedAt, timings }: Lease, sequence: number, at: number): LeaseRefusal | null {
  const due = Math.max(0, at - (openedAt ?? at)) / timings.claimIntervalMs;
  if (sequence <= CLAIMS_SPARE + (due * CLAIMS_PERCENT) / 100) return null;
  return refused("too_early", `a claim is due every ${timings.claimIntervalMs} ms, and ${sequence - 1} have come`);
}

/** Two documents each, with handover and offer inside. */
const MOVES_MAX = 5_000;

/** Why it moves no more, in words; null where it may. */
export const movedOften = ({ moves = 0 }: Lease): string | null =>
  moves < MOVES_MAX ? null : `it has moved ${MOVES_MAX} times, and its log takes no more moves`;
