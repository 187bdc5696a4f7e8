/** Disputes over results: when a part of the job is enough, how long a server has to answer, and what a customer puts down. */
import { FUEL_PER_GUEST_SECOND, fuelCostNanos } from "./fuel.ts";
import type { PriceVector } from "./resources.ts";

/** A shorter job is run again whole: finding the segment would cost more. */
export const SEGMENT_DISPUTE_FUEL_MIN = FUEL_PER_GUEST_SECOND / 2n;

/** A signed document has room for so many roots. */
const ROOTS_MAX = 256;
const ROOTS_MIN = 8;
/** Every root is a hash of the whole memory: so much is hashed at most. */
const HASHED_MIB_MAX = 32_768;

/** Whatever the job, for building it anew and for the way. */
const ANSWER_BASE_MS = 120_000;
/** A run with breakpoints on a busy machine, beside what the guest's own clock says. */
const SLOWER_THAN_GUEST_CLOCK = 10n;
/** Hashing on a busy machine. */
const HASH_MS_PER_MIB = 4;
/** Of the guest's clock: what building the module with breakpoints costs a server at most. */
const BUILD_SECONDS = 60n;

/** How many states of a job with so much memory a server has to show. */
export function traceRootsMax(memoryMib: number): number {
  return Math.max(ROOTS_MIN, Math.min(ROOTS_MAX, Math.floor(HASHED_MIB_MAX / memoryMib)));
}

/** Fuel between two breakpoints. */
export function traceStep(fuel: bigint, memoryMib: number): bigint {
  return fuel / BigInt(traceRootsMax(memoryMib)) + 1n;
}

/** How long a server may take to run the job again with breakpoints; log time. */
export function traceWithinMs(fuel: bigint, memoryMib: number): number {
  return (
    ANSWER_BASE_MS +
    Number((SLOWER_THAN_GUEST_CLOCK * 1_000n * fuel) / FUEL_PER_GUEST_SECOND) +
    traceRootsMax(memoryMib) * memoryMib * HASH_MS_PER_MIB
  );
}

/** What is brought later than halfway leaves the referee too little time. */
const HALVES = 2;

/** From the draw, or the roots: to have the referee run the job or a segment of it, and to bring what it came to; log time. */
export function disputeWithinMs(fuel: bigint, memoryMib: number): number {
  return HALVES * traceWithinMs(fuel, memoryMib);
}

/** From the same moment: to order the referee's run. So much is left for the run that its silence is its own. */
export function judgeWithinMs(fuel: bigint, memoryMib: number): number {
  return disputeWithinMs(fuel, memoryMib) / HALVES;
}

/**
 * What a customer puts down to have a server run its job again with breakpoints: as much as the job cost, and a minute's work for building
 * it. The owner keeps it where the server was right, so that nobody burns another's machine for nothing.
 */
export function disputeDepositNanos(dueNanos: bigint, price: PriceVector): bigint {
  return dueNanos + fuelCostNanos(price, FUEL_PER_GUEST_SECOND * BUILD_SECONDS);
}
