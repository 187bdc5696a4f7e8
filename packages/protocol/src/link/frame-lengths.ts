/**
 * Where the frames of a WebSocket begin and end (RFC 6455, section 5.2), by their headers alone: what is within one long frame can be taken
 * in one piece, and short ones in few. Who controls the inputs: whoever connects, every byte; what it makes of bytes that are no frames is
 * a length all the same, and whoever parses them refuses them.
 */

/** A frame with less is not looked at apart. */
const LONG_BYTES_MIN = 4 * 1024;
const [SHORT_LENGTH, LONG_LENGTH] = [126, 127];

/** What is taken at once. */
interface TakenBytes {
  length: number;
  /** From here on it is what a long frame holds; `length` where it is not. */
  longFrom: number;
  /** How much that frame holds, and how much of it is to come. */
  size: number;
  left: number;
}

export class FrameLengths {
  /** Of a header that has not come whole. */
  readonly #head: number[] = [];
  /** Of the frame that comes. */
  #size = 0;
  #left = 0;

  /**
   * How much of these bytes is to be taken at once: of short frames at most `shortMax`, of a long one at most `longMax`. Counts them as
   * taken; at least one.
   */
  take(bytes: Uint8Array, shortMax: number, longMax: number): TakenBytes {
    let at = 0;
    while (at < Math.min(bytes.length, shortMax)) {
      if (this.#left === 0) this.#header(bytes[at++] ?? 0);
      else if (this.#size >= LONG_BYTES_MIN) {
        const step = Math.min(this.#left, bytes.length - at, longMax);
        this.#left -= step;
        return { length: at + step, longFrom: at, size: this.#size, left: this.#left };
      } else {
        const step = Math.min(this.#left, Math.min(bytes.length, shortMax) - at);
        this.#left -= step;
        at += step;
      }
    }
    return { length: at, longFrom: at, size: 0, left: 0 };
  }

  #header(byte: number): void {
    const head = this.#head;
    head.push(byte);
    const [, second] = head;
    if (second === undefined) return;
    const said = second & 127;
    const more = said === SHORT_LENGTH ? 2 : said === LONG_LENGTH ? 8 : 0;
    if (head.length < 2 + more + (second & 128 ? 4 : 0)) return;
    this.#size = more === 0 ? said : head.slice(2, 2 + more).reduce((sum, each) => sum * 256 + each, 0);
    this.#left = this.#size;
    head.length = 0;
  }
}
