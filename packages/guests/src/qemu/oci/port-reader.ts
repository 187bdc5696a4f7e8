/**
 * What a guest says on its job's port, read in pieces of known size. Held is a bounded number of bytes: beyond, the socket is paused, which
 * stops the guest. Each byte is looked at once, and after so many of them everybody else in this process has a turn. Who controls the
 * inputs: the guest, every byte, as many and as fast as it likes.
 */
import type { Readable } from "node:stream";
import { setImmediate as nextTurn } from "node:timers/promises";

const HELD_BYTES_MAX = 256 * 1024;
/** Looked at before others have a turn, and how many pieces they may come in. */
const TURN_BYTES = 256 * 1024;
const TURN_PIECES = 4_096;
/** Of a line only its last bytes count. */
const LINE_BYTES_MAX = 512;

export class PortReader {
  readonly #stream: Readable;
  #chunks: Buffer[] = [];
  #held = 0;
  #closed = false;
  #wake: () => void = () => {};
  #turnBytes = 0;
  #turnPieces = 0;

  constructor(stream: Readable) {
    this.#stream = stream;
    stream.on("data", (bytes: Buffer) => {
      this.#chunks.push(bytes);
      this.#held += bytes.length;
      if (this.#held >= HELD_BYTES_MAX) stream.pause();
      this.#wake();
    });
    stream.on("close", () => {
      this.#closed = true;
      this.#wake();
    });
  }

  /** The next bytes as they came; null when it is closed. They stay until `#drop`. */
  async #first(): Promise<Buffer | null> {
    if (this.#turnBytes >= TURN_BYTES || this.#turnPieces >= TURN_PIECES) {
      this.#turnBytes = this.#turnPieces = 0;
      await nextTurn();
    }
    for (;;) {
      const [first] = this.#chunks;
      if (first) return first;
      if (this.#closed) return null;
      await new Promise<void>((resolve) => (this.#wake = resolve));
    }
  }

  /** So many of the first bytes are done with. */
  #drop(first: Buffer, count: number): void {
    if (count === first.length) this.#chunks.shift();
    else this.#chunks[0] = first.subarray(count);
    this.#held -= count;
    this.#turnBytes += count;
    this.#turnPieces += 1;
    if (this.#held < HELD_BYTES_MAX && this.#stream.isPaused()) this.#stream.resume();
  }

  /** Up to `most` bytes, at least one; null when it is closed. */
  async some(most: number): Promise<Buffer | null> {
    const first = await this.#first();
    if (first === null) return null;
    const part = first.subarray(0, most);
    this.#drop(first, part.length);
    return part;
  }

  /** Exactly so many; null when it is closed before. */
  async all(count: number): Promise<Buffer | null> {
    const parts: Buffer[] = [];
    for (let left = count; left > 0;) {
      const part = await this.some(left);
      if (part === null) return null;
      parts.push(part);
      left -= part.length;
    }
    return Buffer.concat(parts);
  }

  /** Of the next line of which `find` makes something: that; null when closed. */
  async line(find: (line: string) => string | null): Promise<string | null> {
    let line = "";
    for (;;) {
      const first = await this.#first();
      if (first === null) return null;
      const end = first.indexOf(10);
      const stop = end < 0 ? first.length : end;
      line = (line + first.toString("latin1", Math.max(0, stop - LINE_BYTES_MAX), stop)).slice(-LINE_BYTES_MAX);
      this.#drop(first, end < 0 ? stop : end + 1);
      if (end < 0) continue;
      const found = find(line);
      if (found !== null) return found;
      line = "";
    }
  }
}
