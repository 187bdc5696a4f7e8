/**
 * What a module may be made of. The rewriter and the platform hold each of these in memory of their own, which no lease pays for: a
 * module beyond them is refused in words, and never ends the process that reads it. Compilers stay far below. The bytes of a module are
 * counted where they are ordered (protocol/src/job-fit.ts).
 */
import { Refusal } from "./binary.ts";

export const MODULE_BYTES_MAX = 128 * 1024 * 1024;

/** Of one function, its parameters and those that the engine adds included: as many as the platform takes. */
export const LOCALS_MAX = 50_000;

const MODULE_LIMITS = {
  types: 100_000,
  /** Parameters and results of all types together. */
  "values in types": 1_000_000,
  imports: 1_000,
  functions: 750_000,
  globals: 20_000,
  exports: 100_000,
  tags: 10_000,
  "elements of tables": 1_000_000,
  /** Of all functions together. */
  locals: 16_000_000,
  "blocks inside each other": 100_000,
  /**
   * Locals and operands at the head of each block of a function, added up: so many does the platform's compiler keep, at about 30 bytes.
   */
  "values to keep over the blocks of one function": 32_000_000,
  "bytes of one function with its metering": 7_654_321,
  "bytes with its metering": 512 * 1024 * 1024,
} as const;

/** Throws Refusal beyond the limit. */
export function assertWithin(what: keyof typeof MODULE_LIMITS, count: number, offset: number): void {
  if (count > MODULE_LIMITS[what]) throw new Refusal(`${count} ${what}`, offset, `at most ${MODULE_LIMITS[what]} are offered`);
}
