/**
 * Whoever hears of a signal: one listener on each signal however many calls share it, gone with the last of them. A signal that lives as
 * long as its program gathers nothing, and Node warns of none.
 */

class Heard {
  readonly #signal: AbortSignal;
  readonly #calls = new Set<() => void>();

  constructor(signal: AbortSignal) {
    this.#signal = signal;
  }

  readonly #given = (): void => {
    all.delete(this.#signal);
    for (const call of this.#calls) call();
  };

  add(call: () => void): () => void {
    const own = (): void => call();
    if (this.#calls.size === 0) this.#signal.addEventListener("abort", this.#given, { once: true });
    this.#calls.add(own);
    return () => {
      if (!this.#calls.delete(own) || this.#calls.size > 0) return;
      this.#signal.removeEventListener("abort", this.#given);
      all.delete(this.#signal);
    };
  }
}

const all = new WeakMap<AbortSignal, Heard>();

/** Calls back once when the signal is given; gives what undoes that. A signal that was given before calls nobody. */
export function onAbort(signal: AbortSignal, call: () => void): () => void {
  const heard = all.get(signal) ?? new Heard(signal);
  all.set(signal, heard);
  return heard.add(call);
}
