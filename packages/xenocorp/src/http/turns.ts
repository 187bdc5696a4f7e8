/**
 * Whose request is worked on next: a few at once, and of those who wait each holder in its turn, so that whoever asks a thousand things
 * waits for them by itself. Who controls the inputs: holders ask as much as they can, and go away. Bounds: what waits of one holder and in
 * all; where all is full, whoever has most waiting loses some of it.
 */
export interface TurnBounds {
  atOnce: number;
  waitingMax: number;
  perHolder: number;
}

interface Waiting {
  isGone(): boolean;
  answer(end: (() => void) | null): void;
}

export class Turns {
  readonly #bounds: TurnBounds;
  /** In the order of their turns; none is empty. */
  readonly #queues = new Map<string, Waiting[]>();
  #running = 0;
  #waiting = 0;

  constructor(bounds: TurnBounds) {
    this.#bounds = bounds;
  }

  get waiting(): number {
    return this.#waiting;
  }

  /** Resolves when it is this one's turn, with what ends it; null: too much waits already, or whoever asked `isGone`. */
  async take(holder: string, isGone: () => boolean): Promise<(() => void) | null> {
    if (isGone()) return null;
    if (this.#running < this.#bounds.atOnce) return this.#begin();
    if (!this.#makeRoom(holder)) return null;
    return new Promise((answer) => {
      const queue = this.#queues.get(holder);
      if (queue) queue.push({ isGone, answer });
      else this.#queues.set(holder, [{ isGone, answer }]);
      this.#waiting++;
    });
  }

  #begin(): () => void {
    this.#running++;
    let runs = true;
    return () => {
      if (!runs) return;
      runs = false;
      this.#running--;
      this.#next();
    };
  }

  #next(): void {
    for (const [holder, queue] of this.#queues) {
      const [first] = queue;
      if (!first) return;
      this.#queues.delete(holder);
      this.#keep(holder, queue.slice(1));
      this.#waiting--;
      if (!first.isGone()) return first.answer(this.#begin());
      first.answer(null);
    }
  }

  /** Its turn comes after everybody's. */
  #keep(holder: string, queue: Waiting[]): void {
    if (queue.length > 0) this.#queues.set(holder, queue);
  }

  #makeRoom(holder: string): boolean {
    const own = this.#queues.get(holder) ?? [];
    if (own.length >= this.#bounds.perHolder && this.#forgetGone(holder, own) === 0) return false;
    if (this.#waiting < this.#bounds.waitingMax) return true;
    const [most, theirs] = [...this.#queues].reduce((one, other) => (other[1].length > one[1].length ? other : one));
    if (this.#forgetGone(most, theirs) > 0) return true;
    if (theirs.length <= own.length + 1) return false;
    theirs.pop()?.answer(null);
    this.#waiting--;
    return true;
  }

  /** How many of them there were. */
  #forgetGone(holder: string, queue: readonly Waiting[]): number {
    const gone = queue.filter(({ isGone }) => isGone());
    if (gone.length === 0) return 0;
    const rest = queue.filter((one) => !gone.includes(one));
    this.#waiting -= gone.length;
    if (rest.length > 0) this.#queues.set(holder, rest);
    else this.#queues.delete(holder);
    for (const { answer } of gone) answer(null);
    return gone.length;
  }
}
