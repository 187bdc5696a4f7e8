/**
 * Reads again and again what is shown: where there are news, or after a while; where it fails, more and more seldom. One read at a time:
 * news that come while one runs are read after it, so that many of them hold nothing up. Who controls the inputs: the broker (answers,
 * news).
 */

/** What came of a read: one of the two is null. */
export interface Outcome<T> {
  value: T | null;
  error: unknown;
}

/** After failures: a broker that is away or busy is not asked by every page that is open as if it were there. */
const SELDOM_MS = 60_000;

export class Reader<T> {
  readonly #read: (signal: AbortSignal) => Promise<T>;
  readonly #everyMs: number;
  readonly #told: (outcome: Outcome<T>) => void;
  readonly #ending = new AbortController();
  #timer: ReturnType<typeof setTimeout> | null = null;
  #isReading = false;
  /** Since the running read began. */
  #hasNews = false;
  #failures = 0;

  constructor(read: (signal: AbortSignal) => Promise<T>, everyMs: number, told: (outcome: Outcome<T>) => void) {
    [this.#read, this.#everyMs, this.#told] = [read, everyMs, told];
    void this.#once();
  }

  /** Reads now, or as soon as the read that runs is done. */
  again(): void {
    if (this.#isReading) this.#hasNews = true;
    else void this.#once();
  }

  stop(): void {
    this.#ending.abort();
    if (this.#timer !== null) clearTimeout(this.#timer);
  }

  async #once(): Promise<void> {
    if (this.#timer !== null) clearTimeout(this.#timer);
    [this.#isReading, this.#hasNews] = [true, false];
    const { signal } = this.#ending;
    const outcome = await this.#outcome(signal);
    this.#isReading = false;
    if (signal.aborted) return;
    this.#failures = outcome.error === null ? 0 : this.#failures + 1;
    this.#told(outcome);
    // told to stop, or read again, by whoever heard it
    if (signal.aborted || this.#isReading) return;
    if (this.#hasNews && this.#failures === 0) return void this.#once();
    const waitMs = Math.max(this.#everyMs, Math.min(this.#everyMs * 2 ** this.#failures, SELDOM_MS));
    this.#timer = setTimeout(() => void this.#once(), waitMs);
  }

  async #outcome(signal: AbortSignal): Promise<Outcome<T>> {
    try {
      return { value: await this.#read(signal), error: null };
    } catch (error) {
      return { value: null, error };
    }
  }
}
