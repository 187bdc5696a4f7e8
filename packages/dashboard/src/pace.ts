/** How fast bytes move, and how long those that are left will take. Who controls the inputs: whatever moves them. */
import { bytesText, duration } from "./words.ts";

/** Until then a rate says nothing. */
const RATE_AFTER_MS = 1_000;

export class Pace {
  readonly #bytes: number;
  readonly #ms: number;

  /** What was there before it began is no part of it. `ms`: of a clock that never goes back. */
  constructor(bytes: number, ms: number) {
    [this.#bytes, this.#ms] = [bytes, ms];
  }

  /** Bytes a second; null: it is not known yet. */
  at(bytes: number, ms: number): number | null {
    const tookMs = ms - this.#ms;
    return tookMs < RATE_AFTER_MS ? null : ((bytes - this.#bytes) * 1_000) / tookMs;
  }
}

/** Goes on behind how much has moved; empty: nothing is known. `left`: null where nobody knows. */
export function paceText(bytesPerSecond: number | null, left: number | null): string {
  if (bytesPerSecond === null || bytesPerSecond < 1) return "";
  const rate = `, ${bytesText(Math.floor(bytesPerSecond))} a second`;
  return left === null ? rate : `${rate}, ${duration(Math.ceil(left / bytesPerSecond) * 1_000)} left`;
}
