/** Whether a starter that somebody waits for still says anything: one that is stopped, or hangs, tells of no program's end. */

/** How long a starter may take; what is changed holds from then on, but for `everyMs`. */
export interface Patience {
  /** Between two questions, in ms. */
  everyMs: number;
  /** How many may stay without any word of it, one after the other. */
  missedMax: number;
  /** From its start to its first word, in ms. */
  readyMs: number;
  /** From the end of its channel to its own, in ms. */
  closeMs: number;
}

/** A minute for all but its end, where nothing is left to do for it. */
export const PATIENCE: Patience = { everyMs: 5_000, missedMax: 12, readyMs: 60_000, closeMs: 10_000 };

export interface Pulse {
  /** It said something. */
  heard(): void;
  end(): void;
}

/**
 * `isAwaited`: whether anybody waits; `ask` has it say something; `silent` is called once, and then nothing more. Questions are counted and
 * not the time: a server that was stopped together with its starter asks it again first.
 */
export function pulseOf(patience: Patience, { isAwaited, ask, silent }: { isAwaited(): boolean; ask(): void; silent(): void }): Pulse {
  let missed = 0;
  const timer = setInterval(() => {
    if (!isAwaited()) return void (missed = 0);
    if (missed >= patience.missedMax) {
      clearInterval(timer);
      return silent();
    }
    missed += 1;
    ask();
  }, patience.everyMs).unref();
  return { heard: () => void (missed = 0), end: () => clearInterval(timer) };
}
