/** Times that somebody else chose, as people write them. Who controls the input: anyone. */

/** The last that has a date (ECMA-262, 21.4.1.1). */
const LAST_MS = 8_640_000_000_000_000;

/** In ISO 8601 (UTC); as the number that it is where no calendar goes so far. */
export const dateText = (ms: number): string => (Math.abs(ms) <= LAST_MS ? new Date(ms).toISOString() : `${ms} ms`);
