/** That something has happened, for whoever shows how things stand: many news at once are told once. */
const TOGETHER_MS = 250;

export class News {
  #count = 0;
  #isTelling = false;
  readonly #listeners = new Set<() => void>();

  /** Another number says that there are news. */
  readonly count = (): number => this.#count;

  readonly subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  };

  tell(): void {
    if (this.#isTelling) return;
    this.#isTelling = true;
    setTimeout(() => {
      this.#isTelling = false;
      this.#count++;
      for (const listener of this.#listeners) listener();
    }, TOGETHER_MS);
  }
}
