/**
 * Work that is asked for in messages and takes a while, one after the other: whoever asks need not wait, until much waits for its turn. Who
 * controls the inputs: whoever asks.
 */
export class Turns {
  readonly #waitingMax: number;
  #last: Promise<void> = Promise.resolve();
  #waiting = 0;

  constructor(waitingMax: number) {
    this.#waitingMax = waitingMax;
  }

  /** `work` does not fail. Resolves at once, or where as much waits as may when `work` is done. */
  add(work: () => Promise<void>): Promise<void> {
    this.#waiting++;
    this.#last = this.#last.then(work).finally(() => this.#waiting--);
    return this.#waiting < this.#waitingMax ? Promise.resolve() : this.#last;
  }
}
