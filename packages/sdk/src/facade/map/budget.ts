/**
 * One budget for many jobs: what they have cost and what is held for those under way is never more than it. Invariant: spent + held <=
 * total, but for what an earlier call had ordered under a larger one.
 */

export class MapBudget {
  readonly #totalNanos: bigint | null;
  #spentNanos: bigint;
  #heldNanos: bigint;
  readonly #waiting: (() => void)[] = [];
  #isOver = false;
  /** Called each time that somebody waits for what is held: `isShort` is true then. */
  onShort = (): void => {};

  /** Null: there is no bound. */
  constructor(totalNanos: bigint | null, spentNanos = 0n, heldNanos = 0n) {
    this.#totalNanos = totalNanos;
    this.#spentNanos = spentNanos;
    this.#heldNanos = heldNanos;
  }

  get spentNanos(): bigint {
    return this.#spentNanos;
  }

  get isShort(): boolean {
    return this.#waiting.length > 0;
  }

  /** What may still be ordered; null: there is no bound. */
  get leftNanos(): bigint | null {
    if (this.#totalNanos === null) return null;
    const left = this.#totalNanos - this.#spentNanos - this.#heldNanos;
    return left > 0n ? left : 0n;
  }

  /** Holds so much, as soon as it is there; false: it never will be, or nobody wants it any more. */
  async hold(nanos: bigint): Promise<boolean> {
    for (;;) {
      if (this.#isOver) return false;
      const left = this.leftNanos;
      if (left === null || left >= nanos) {
        this.#heldNanos += nanos;
        return true;
      }
      if (this.#heldNanos === 0n) return false;
      await new Promise<void>((resolve) => {
        this.#waiting.push(resolve);
        this.onShort();
      });
    }
  }

  /** Of what was held so much was paid; the rest is there again. */
  settle(heldNanos: bigint, paidNanos: bigint): void {
    this.#heldNanos -= heldNanos;
    this.#spentNanos += paidNanos;
    this.#wake();
  }

  /** Nothing is held any more: whoever waits need not. */
  end(): void {
    this.#isOver = true;
    this.#wake();
  }

  #wake(): void {
    for (const wake of this.#waiting.splice(0)) wake();
  }
}
