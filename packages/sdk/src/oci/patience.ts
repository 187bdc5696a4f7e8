/**
 * How long somebody waits for a registry that has a bad day: what it asks for, up to a bound; else twice as long each time, with chance in
 * it, so that many who were turned away do not come back at once. Who controls the inputs: the registry (Retry-After), the network.
 */
import { OciError } from "./source.ts";
import type { Timers } from "@xenoservers/protocol/link";

/** What may go well when it is tried again. */
export class Mishap extends Error {
  override name = "Mishap";
  /** What the registry asks to wait; null where it says nothing. */
  readonly askedMs: number | null;

  constructor(why: string, askedMs: number | null = null) {
    super(why);
    this.askedMs = askedMs;
  }
}

/** In a row, without a byte of progress between them. */
const MISHAPS_MAX = 6;
const FIRST_WAIT_MS = 500;
const WAIT_MS_MAX = 15_000;
/** Who asks for more is not waited for: nobody sits before a terminal for so long without being asked. */
const ASKED_MS_MAX = 120_000;

const SECOND_MS = 1_000;

/** Of a Retry-After, which holds seconds or a date; null where it is neither. */
export function askedMsOf(header: string | undefined, now: number): number | null {
  if (header === undefined) return null;
  if (/^\d+$/.test(header.trim())) return Number(header) * SECOND_MS;
  const at = Date.parse(header);
  return Number.isNaN(at) ? null : Math.max(0, at - now);
}

/** Says to whoever looks on that something is waited for. */
export type OnWait = (why: string, ms: number) => void;

export class Patience {
  readonly #timers: Timers;
  readonly #onWait: OnWait;
  readonly #mishapsMax: number;
  #mishaps = 0;

  constructor(timers: Timers, onWait: OnWait, mishapsMax = MISHAPS_MAX) {
    this.#timers = timers;
    this.#onWait = onWait;
    this.#mishapsMax = mishapsMax;
  }

  /** It went on: what went wrong before is forgotten. */
  progress(): void {
    this.#mishaps = 0;
  }

  /** Waits as long as is meet. Throws OciError where it is no use any more, and what is no mishap as it is. */
  async after(error: unknown, what: string): Promise<void> {
    if (!(error instanceof Mishap)) throw error;
    const { message, askedMs } = error;
    if (askedMs !== null && askedMs > ASKED_MS_MAX)
      throw new OciError(`${what}: ${message}, and asks to come again in ${Math.ceil(askedMs / SECOND_MS)} s: try then`, { cause: error });
    if (++this.#mishaps > this.#mishapsMax)
      throw new OciError(`${what}: ${message}, ${this.#mishaps} times in a row: try later`, { cause: error });
    const most = Math.min(WAIT_MS_MAX, FIRST_WAIT_MS * 2 ** (this.#mishaps - 1));
    const own = (most * (1 + this.#timers.random())) / 2;
    // never sooner than was asked for, and not all at once then
    const ms = Math.ceil(askedMs === null ? own : Math.max(own, askedMs + this.#timers.random() * FIRST_WAIT_MS));
    this.#onWait(message, ms);
    await new Promise<void>((resolve) => this.#timers.after(ms, resolve));
  }
}
