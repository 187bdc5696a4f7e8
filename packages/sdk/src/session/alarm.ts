/** Waiting that ends early when something happened. */
import type { Timers } from "@xenoservers/protocol/link";

export class Alarm {
  readonly #timers: Timers;
  readonly #waiting = new Set<() => void>();

  constructor(timers: Timers) {
    this.#timers = timers;
  }

  /** Resolves after so long, or when it is rung. */
  async wait(ms: number): Promise<void> {
    await new Promise<void>((resolve) => {
      const wake = (): void => {
        cancel();
        this.#waiting.delete(wake);
        resolve();
      };
      const cancel = this.#timers.after(ms, wake);
      this.#waiting.add(wake);
    });
  }

  ring(): void {
    for (const wake of [...this.#waiting]) wake();
  }
}
