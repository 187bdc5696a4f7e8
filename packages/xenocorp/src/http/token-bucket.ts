import type { Timers } from "@xenoservers/protocol/link";

/** Allows `burst` at once and `perSecond` after that. */
export class TokenBucket {
  readonly #perSecond: number;
  readonly #burst: number;
  readonly #timers: Pick<Timers, "now">;
  #tokens: number;
  #at: number;

  constructor(perSecond: number, burst: number, timers: Pick<Timers, "now">) {
    this.#perSecond = perSecond;
    this.#burst = burst;
    this.#timers = timers;
    this.#tokens = burst;
    this.#at = timers.now();
  }

  take(): boolean {
    const now = this.#timers.now();
    this.#tokens = Math.min(this.#burst, this.#tokens + (Math.max(0, now - this.#at) / 1000) * this.#perSecond);
    this.#at = now;
    if (this.#tokens < 1) return false;
    this.#tokens -= 1;
    return true;
  }
}
