/**
 * What making a module ready to run costs its job, by the module's length alone: anyone can tell it before the order, and it is the same
 * wherever the module was made ready already. Market's `preparationFuel` is the same rule (test/engine/limits.test.ts holds the two
 * together).
 */
const STEP_BYTES = 64 * 1024;
const FUEL_PER_STEP = 1n << 24n;

export const preparationFuel = (moduleBytes: number): bigint => BigInt(Math.floor(moduleBytes / STEP_BYTES)) * FUEL_PER_STEP;
