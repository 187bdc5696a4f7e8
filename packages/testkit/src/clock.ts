/** Simulated time: events in order of time, then of making; between two events every promise that can settle has settled. */
import type { Timers } from "@xenoservers/protocol/link";
import type { Random } from "./random.ts";

interface Event {
  at: number;
  order: number;
  action: () => void;
}

export class SimClock implements Timers {
  #now: number;
  #made = 0;
  #queue: Event[] = [];
  readonly #random: Random;

  constructor(start: number, random: Random) {
    this.#now = start;
    this.#random = random;
  }

  now(): number {
    return this.#now;
  }

  random(): number {
    return this.#random.fraction();
  }

  after(ms: number, action: () => void): () => void {
    const event: Event = { at: this.#now + Math.ceil(Math.max(0, ms)), order: this.#made++, action };
    let low = 0;
    let high = this.#queue.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      const other = this.#queue[middle];
      if (other && isBefore(other, event)) low = middle + 1;
      else high = middle;
    }
    this.#queue.splice(low, 0, event);
    return () => {
      const at = this.#queue.indexOf(event);
      if (at >= 0) this.#queue.splice(at, 1);
    };
  }

  sleep(ms: number): Promise<void> {
    return new Promise((resolve) => this.after(ms, resolve));
  }

  /** Runs until nothing is left, or until `condition` holds, or time is over. */
  async runUntil(end: number, condition: () => boolean = () => false): Promise<void> {
    for (;;) {
      await settled();
      if (condition()) return;
      const next = this.#queue[0];
      if (!next || next.at > end) break;
      this.#queue.shift();
      this.#now = Math.max(this.#now, next.at);
      next.action();
    }
    this.#now = Math.max(this.#now, end);
  }
}

const isBefore = (one: Event, other: Event): boolean => one.at < other.at || (one.at === other.at && one.order < other.order);

/** A turn of the real event loop: all chains of settled promises have run to their end. */
const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
