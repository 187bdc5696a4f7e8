/**
 * Fuel: what a deterministic job has used, counted by the engine and the same on every machine, so that anyone can recompute a bill by
 * running the job again. On result a wasm lease is billed by it; by interval, where nothing is proved until the end, by time.
 */
import type { PriceVector } from "./resources.ts";
import type { PaymentTerms } from "./lease/terms.ts";

type Metering = "fuel" | "time";

export function meteringOf(terms: PaymentTerms): Metering {
  return terms === "on-result" ? "fuel" : "time";
}

const GIGA = 1_000_000_000n;
/** A guest's clock goes by its fuel at this rate (engine/src/clock.ts). */
export const FUEL_PER_GUEST_SECOND = 10n * GIGA;
/**
 * Faster than any machine burns fuel: twice the guest's own clock. A bill never exceeds it over the broker's time between opening and
 * result.
 */
export const FUEL_PER_HOST_SECOND_MAX = 2n * FUEL_PER_GUEST_SECOND;
/** More than any job can use in a lifetime. */
export const FUEL_MAX = 1n << 62n;

/**
 * Two honest runs of one deterministic machine may state fuel so far apart: one that powers itself down goes on for a moment until QEMU
 * notices. About two seconds of the guest's clock, and the most that an owner can add to such a bill unseen.
 */
export const VM_FUEL_SLACK = 2n * FUEL_PER_GUEST_SECOND;

/** Of a module's length, in whole steps, for making it ready to run (engine/src/preparation.ts). */
const PREPARED_STEP_BYTES = 64 * 1024;
const FUEL_PER_PREPARED_STEP = 1n << 24n;

/**
 * What a wasm job pays for its module's being made ready, whoever has it ready already: a rule of its length alone. 0 bytes stand for a
 * runtime that comes with the engine.
 */
export const preparationFuel = (moduleBytes: number): bigint =>
  BigInt(Math.floor(moduleBytes / PREPARED_STEP_BYTES)) * FUEL_PER_PREPARED_STEP;

/** The price of `fuel`, rounded down once. */
export function fuelCostNanos({ gigaFuelNanos }: PriceVector, fuel: bigint): bigint {
  return (fuel * gigaFuelNanos) / GIGA;
}

/** The most fuel that `budget` surely covers. */
export function affordableFuel({ gigaFuelNanos }: PriceVector, budget: bigint): bigint {
  const fuel = gigaFuelNanos === 0n ? FUEL_MAX : (budget * GIGA) / gigaFuelNanos;
  return fuel < FUEL_MAX ? fuel : FUEL_MAX;
}
