/**
 * How fast an address must give an image: who lets it drip keeps a slot, and an owner's line, for as long as somebody waits. What the other
 * side asks to be waited is not counted, within a bound. Who controls the inputs: the other side (when bytes come, what it asks).
 */
import { Refusal } from "../refusal.ts";

/** In each of so many ms of its own. */
const WINDOW_MS = 60_000;
/** At least so much: 64 KiB a second. */
const WINDOW_BYTES = 64 * 1024 * (WINDOW_MS / 1_000);
/** Of all that the other side asks to wait, of one image. */
const ASKED_MS_MAX = 5 * 60_000;

export class Pace {
  readonly #now: () => number;
  #since: number;
  #bytes = 0;
  #askedMs = 0;

  /** `now`: ms of a clock that is never set. */
  constructor(now: () => number) {
    this.#now = now;
    this.#since = now();
  }

  /** Bytes have come, or none. Throws Refusal where it is too slow. */
  check(bytes: number): void {
    this.#bytes += bytes;
    if (this.#now() - this.#since < WINDOW_MS) return;
    if (this.#bytes < WINDOW_BYTES)
      throw new Refusal("fetch", "the address gives less than 64 KiB a second: the image could not be fetched");
    this.#since = this.#now();
    this.#bytes = 0;
  }

  /** Whether so long a wait, which the other side asks for, is still gone along with; the time is not held against it then. */
  mayAsk(ms: number): boolean {
    this.#askedMs += ms;
    return this.#askedMs <= ASKED_MS_MAX;
  }

  /** It was waited so long because it was asked for. */
  waited(ms: number): void {
    this.#since += ms;
  }
}
