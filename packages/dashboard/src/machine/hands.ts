/** The hands on one lease's machine: its channel is opened when something is first asked of it, and once for all that is. */
import { holdsCapacity, type LeaseState } from "@xenoservers/market";
import type { Machine, Market } from "@xenoservers/sdk/machines";

/** Whether there is a machine to lay hands on: one that has ended is gone, while its lease still waits for its bill. */
export const isThere = (state: LeaseState): boolean => holdsCapacity(state);

export class Hands {
  readonly #market: Pick<Market, "machine">;
  readonly #lease: string;
  #machine: Promise<Machine> | null = null;

  constructor(market: Pick<Market, "machine">, lease: string) {
    [this.#market, this.#lease] = [market, lease];
  }

  /** What failed is tried again by whoever asks next. */
  machine(): Promise<Machine> {
    const asked = (this.#machine ??= this.#market.machine(this.#lease));
    asked.catch(() => {
      if (this.#machine === asked) this.#machine = null;
    });
    return asked;
  }

  /** The machine runs on; whoever asks later opens another channel. */
  close(): void {
    void this.#machine?.then(
      (machine) => machine.close(),
      () => {},
    );
    this.#machine = null;
  }
}
