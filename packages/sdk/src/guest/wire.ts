/**
 * This side's end of a byte stream in a lease's channel, without Node's streams: a page has it, too. What comes is handed over piece by
 * piece, the next when the one before was taken; what is said waits while the channel has no room. Who controls the inputs: whoever is at
 * the other end, every byte.
 */
import type { ByteDuplex } from "@xenoservers/protocol/channel";

interface WireTaker {
  /** One that rejects breaks the stream off. */
  take(bytes: Uint8Array): void | Promise<void>;
  /** The other side has said all. */
  ended(): void;
  /** Once: nothing comes or goes any more. `why`: it was broken off. */
  closed(why: Error | null): void;
}

type Listener = (value?: never) => void;
interface Said {
  bytes: Uint8Array;
  taken(): void;
}

export class Wire implements ByteDuplex {
  readonly #taker: WireTaker;
  readonly #listeners = new Map<string, Set<Listener>>();
  readonly #said: Said[] = [];
  #isFlowing: boolean | null = null;
  #isEmitting = false;
  #hasSaidAll = false;
  #hasToldEnd = false;
  #hasHeardAll = false;
  #isDestroyed = false;
  #turn: Promise<void> = Promise.resolve();

  constructor(taker: WireTaker) {
    this.#taker = taker;
  }

  get isDestroyed(): boolean {
    return this.#isDestroyed;
  }

  /** Resolves when the channel has taken it, or nobody will. */
  say(bytes: Uint8Array): Promise<void> {
    if (this.#isDestroyed || this.#hasSaidAll) return Promise.resolve();
    const taken = new Promise<void>((resolve) => this.#said.push({ bytes, taken: resolve }));
    this.#flow();
    return taken;
  }

  /** Nothing more is said; what was is still on its way. */
  sayEnd(): void {
    this.#hasSaidAll = true;
    this.#flow();
  }

  on(event: string, listener: (value: never) => void): this {
    const all = this.#listeners.get(event) ?? new Set();
    this.#listeners.set(event, all.add(listener as Listener));
    if (event !== "data" || this.#isFlowing === false) return this;
    this.#isFlowing = true;
    queueMicrotask(() => this.#flow()); // whoever listens says first what it is
    return this;
  }

  once(event: string, listener: () => void): this {
    const own: Listener = () => {
      this.#listeners.get(event)?.delete(own);
      listener();
    };
    return this.on(event, own);
  }

  resume(): this {
    this.#isFlowing = true;
    this.#flow();
    return this;
  }

  pause(): this {
    this.#isFlowing = false;
    return this;
  }

  write(bytes: Uint8Array, done: () => void = () => {}): this {
    this.#next(() => this.#taker.take(bytes), done);
    return this;
  }

  end(done: () => void = () => {}): this {
    this.#next(() => {
      this.#hasHeardAll = true;
      this.#taker.ended();
      this.#closeIfOver();
    }, done);
    return this;
  }

  destroy(why?: Error): this {
    if (this.#isDestroyed) return this;
    this.#isDestroyed = true;
    for (const { taken } of this.#said.splice(0)) taken();
    if (why) this.#tell("error", why as never);
    this.#tell("close");
    this.#taker.closed(why ?? null);
    return this;
  }

  /** One after the other; what comes once it is destroyed goes nowhere. */
  #next(what: () => void | Promise<void>, done: () => void): void {
    this.#turn = this.#turn
      .then(() => (this.#isDestroyed ? undefined : what()))
      .catch((error: Error) => void this.destroy(error))
      .then(done);
  }

  #tell(event: string, value?: never): void {
    for (const listener of [...(this.#listeners.get(event) ?? [])]) listener(value);
  }

  #flow(): void {
    if (this.#isEmitting) return;
    this.#isEmitting = true;
    while (this.#isFlowing === true && !this.#isDestroyed) {
      const said = this.#said.shift();
      if (!said) break;
      this.#tell("data", said.bytes as never);
      said.taken();
    }
    this.#isEmitting = false;
    if (this.#hasSaidAll && this.#said.length === 0 && this.#isFlowing === true && !this.#hasToldEnd) {
      this.#hasToldEnd = true;
      this.#tell("end");
      this.#closeIfOver();
    }
  }

  #closeIfOver(): void {
    if (this.#hasToldEnd && this.#hasHeardAll) this.destroy();
  }
}
