/**
 * A bounded number of places, in all and for each holder: links, event streams, results on their way. Who controls the inputs: holders
 * take as many as they can get; whoever keeps its own leaves the others theirs.
 */
export class Places {
  readonly #max: number;
  readonly #perHolderMax: number;
  readonly #byHolder = new Map<string, number>();
  #taken = 0;

  constructor(max: number, perHolderMax: number) {
    this.#max = max;
    this.#perHolderMax = perHolderMax;
  }

  get taken(): number {
    return this.#taken;
  }

  /** Takes a place; what is returned gives it back. Null: there is none. */
  take(holder: string): (() => void) | null {
    const own = this.#byHolder.get(holder) ?? 0;
    if (this.#taken >= this.#max || own >= this.#perHolderMax) return null;
    this.#taken++;
    this.#byHolder.set(holder, own + 1);
    let taken = true;
    return () => {
      if (!taken) return;
      taken = false;
      this.#taken--;
      const left = (this.#byHolder.get(holder) ?? 1) - 1;
      if (left === 0) this.#byHolder.delete(holder);
      else this.#byHolder.set(holder, left);
    };
  }
}
