/** Requests whose answers have not come: so many at once, and the first that fails ends the rest. */

/** Each file of them is held here whole at most once, and is small. */
const UNDER_WAY_MAX = 128;

export class UnderWay {
  readonly #requests = new Set<Promise<void>>();
  #failed: Error | null = null;

  /** Waits while there are many. Throws what came of one of them. */
  async add(request: Promise<void>): Promise<void> {
    const one = request.catch((error: Error) => void (this.#failed ??= error)).finally(() => this.#requests.delete(one));
    this.#requests.add(one);
    while (this.#requests.size >= UNDER_WAY_MAX) await Promise.race(this.#requests);
    if (this.#failed) throw this.#failed;
  }

  async all(): Promise<void> {
    await Promise.all(this.#requests);
    if (this.#failed) throw this.#failed;
  }
}
