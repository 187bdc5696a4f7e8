/** Disputes over results: when a part of the job is enough, how long a server has to answer, and what a customer puts down. */
import { FUEL_PER_GUEST_SECOND } from "./fuel.ts";

/** A shorter job is run again whole: finding the segment would cost more. */
export const SEGMENT_DISPUTE_FUEL_MIN = FUEL_PER_GUEST_SECOND / 2n;

/** Whatever the job, for building it anew and for the way. */
const ANSWER_BASE_MS = 120_000;
/** A run with checkpoints on a busy machine, beside what the guest's own clock says. */
const SLOWER_THAN_GUEST_CLOCK = 10n;

/** How long a server may take to run a job of so much fuel again with checkpoints; log time. */
export function traceWithinMs(fuel: bigint): number {
  return ANSWER_BASE_MS + Number((SLOWER_THAN_GUEST_CLOCK * 1_000n * fuel) / FUEL_PER_GUEST_SECOND);
}

/** After the roots are there: for the referee's run of one segment, and for the customer to bring it. */
export function disputeWithinMs(fuel: bigint): number {
  return traceWithinMs(fuel);
}

/** Fuel between two checkpoints, so that there are at most `roots` of them. */
export function traceStep(fuel: bigint, roots: number): bigint {
  return fuel / BigInt(roots) + 1n;
}

/** What a customer puts down to have a server run its job again: as much as the job cost. The owner keeps it where the server was right. */
export function disputeDepositNanos(dueNanos: bigint): bigint {
  return dueNanos;
}
