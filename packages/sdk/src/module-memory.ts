/** How much memory a module has before it runs, read from its bytes without the rest of it: what was ordered must hold that. */
import type { Blob } from "./blob.ts";

const HEADER_BYTES = 8;
const MEMORY_SECTION = 5;
const PAGES_PER_MIB = 16;
/** A section's id and its length; of the memory section also count, flags and the least size. */
const PEEK_BYTES = 20;

class Leb {
  readonly #bytes: Uint8Array;
  at: number;

  constructor(bytes: Uint8Array, at: number) {
    this.#bytes = bytes;
    this.at = at;
  }

  /** NaN past the end. */
  next(): number {
    let value = 0;
    for (let shift = 0; shift < 35; shift += 7) {
      const byte = this.#bytes[this.at++];
      if (byte === undefined) return Number.NaN;
      value += (byte & 0x7f) * 2 ** shift;
      if (byte < 0x80) return value;
    }
    return Number.NaN;
  }
}

/** In MiB, rounded up; 0 where it has none, or is no module: that is for the server's engine to say. */
export async function memoryMibAtStart({ size, read }: Blob): Promise<number> {
  for (let at = HEADER_BYTES; at < size;) {
    const peek = await read(at, Math.min(PEEK_BYTES, size - at));
    const leb = new Leb(peek, 1);
    const length = leb.next();
    if (Number.isNaN(length)) return 0;
    if (peek[0] === MEMORY_SECTION) {
      const [count, , pages] = [leb.next(), leb.next(), leb.next()];
      return count === 0 || Number.isNaN(pages) ? 0 : Math.ceil(pages / PAGES_PER_MIB);
    }
    if ((peek[0] ?? 0) > MEMORY_SECTION) return 0;
    at += leb.at + length;
  }
  return 0;
}
