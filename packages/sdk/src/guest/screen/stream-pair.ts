/** Two ends of one way, as `duplexPair`, which Node has since 22.6 only: what is written into one is read from the other. */
import { Duplex } from "node:stream";

class End extends Duplex {
  #other: End | null = null;
  /** Called when what was written last is read. */
  #taken: (() => void) | null = null;

  join(other: End): void {
    this.#other = other;
  }

  override _read(): void {
    const taken = this.#taken;
    this.#taken = null;
    taken?.();
  }

  override _write(bytes: Buffer, _: string, done: () => void): void {
    if (!this.#other || bytes.length === 0) return void queueMicrotask(done);
    this.#other.#taken = done;
    this.#other.push(bytes);
  }

  override _final(done: () => void): void {
    this.#other?.once("end", done);
    this.#other?.push(null);
  }
}

export function streamPair(): [Duplex, Duplex] {
  const [one, other] = [new End(), new End()];
  one.join(other);
  other.join(one);
  return [one, other];
}
