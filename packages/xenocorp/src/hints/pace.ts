/** Does a job when it is asked for: at once, but never twice at a time nor in a pause. What is asked for meanwhile is done once, after. */
import type { Timers } from "@xenoservers/protocol/link";

export class Pace {
  readonly #job: () => Promise<void> | void;
  readonly #timers: Timers;
  readonly #pauseMs: number;
  #isResting = false;
  #isAsked = false;
  #isStopped = false;
  #cancel: () => void = () => {};

  /** What the job throws is nobody's: whoever needs to know looks by itself. */
  constructor(job: () => Promise<void> | void, timers: Timers, pauseMs: number) {
    this.#job = job;
    this.#timers = timers;
    this.#pauseMs = pauseMs;
  }

  ask(): void {
    if (this.#isStopped) return;
    if (this.#isResting) this.#isAsked = true;
    else void this.#begin();
  }

  async #begin(): Promise<void> {
    this.#isResting = true;
    this.#isAsked = false;
    try {
      await this.#job();
    } catch {
      // see above
    }
    if (!this.#isStopped) this.#cancel = this.#timers.after(this.#pauseMs, () => this.#rested());
  }

  #rested(): void {
    this.#isResting = false;
    if (this.#isAsked) this.ask();
  }

  stop(): void {
    this.#isStopped = true;
    this.#cancel();
  }
}
