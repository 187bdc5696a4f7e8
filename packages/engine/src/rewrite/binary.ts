/**
 * Reading and writing the WebAssembly binary format. Who controls the bytes: the customer; the engine validates a module before it is
 * read here.
 */

/** The module cannot be made deterministic and metered, or is malformed: what, where, and which compiler flag avoids it. */
export class Refusal extends Error {
  readonly what: string;
  /** Byte offset in the module, as wasm-objdump shows it. */
  readonly offset: number;
  readonly advice: string;
  constructor(what: string, offset: number, advice: string) {
    super(`${what} at offset 0x${offset.toString(16)}${advice === "" ? "" : `: ${advice}`}`);
    this.what = what;
    this.offset = offset;
    this.advice = advice;
  }
}

export class Reader {
  readonly bytes: Uint8Array;
  at: number;
  readonly end: number;

  constructor(bytes: Uint8Array, at = 0, end = bytes.length) {
    this.bytes = bytes;
    this.at = at;
    this.end = end;
  }

  get done(): boolean {
    return this.at >= this.end;
  }

  byte(): number {
    if (this.at >= this.end) throw new Refusal("unexpected end", this.at, "the module is truncated");
    return this.bytes[this.at++]!;
  }

  u32(): number {
    const first = this.byte();
    if (first < 0x80) return first;
    const second = this.byte();
    return second < 0x80 ? (first & 0x7f) | (second << 7) : this.#longer((first & 0x7f) | ((second & 0x7f) << 7));
  }

  /** The integer whose first two bytes held `result`. */
  #longer(result: number): number {
    const third = this.byte();
    result |= (third & 0x7f) << 14;
    if (third < 0x80) return result;
    const fourth = this.byte();
    result |= (fourth & 0x7f) << 21;
    if (fourth < 0x80) return result;
    const fifth = this.byte();
    if (fifth < 0x80) return result + fifth * 2 ** 28;
    throw new Refusal("integer too long", this.at, "the module is malformed");
  }

  /** A block type: -64 for none, a negative value type, or a type's index. */
  s33(): number {
    const first = this.byte();
    if (first < 0x80) return first & 0x40 ? first - 0x80 : first;
    let result = first & 0x7f;
    for (let shift = 7; shift < 35; shift += 7) {
      const byte = this.byte();
      result += (byte & 0x7f) * 2 ** shift;
      if (byte < 0x80) return byte & 0x40 ? result - 2 ** (shift + 7) : result;
    }
    throw new Refusal("integer too long", this.at, "the module is malformed");
  }

  skipLeb(): void {
    for (let i = 0; i < 10; i++) if (this.byte() < 0x80) return;
    throw new Refusal("integer too long", this.at, "the module is malformed");
  }

  skip(length: number): number {
    const start = this.at;
    if (start + length > this.end) throw new Refusal("unexpected end", start, "the module is truncated");
    this.at += length;
    return start;
  }

  /** A sub-reader over the next `length` bytes, which this one skips. */
  part(length: number): Reader {
    const start = this.skip(length);
    return new Reader(this.bytes, start, start + length);
  }
}

const SHORT_BYTES = 24;
/** Room for an entry's size and head: where they take another, what is behind them is moved. */
const HEAD_BYTES = 64;
const bytesOfU32 = (value: number): number => (value < 0x80 ? 1 : value < 0x4000 ? 2 : value < 0x20_0000 ? 3 : value < 0x1000_0000 ? 4 : 5);

export class Writer {
  #bytes: Uint8Array;
  /** Of the room that was left and what was written. */
  #length: number;
  readonly #left: number;
  /** Where what counts as written begins: behind the room that was left, or where the entry begins. */
  #from: number;

  /** `left`: room before what is written, of `capacity` bytes in all. */
  constructor(capacity = 256, left = 0) {
    this.#bytes = new Uint8Array(capacity);
    this.#length = this.#left = this.#from = left;
  }

  get length(): number {
    return this.#length - this.#from;
  }

  /** The bytes with room for so many more, of which those that count end at `end`, also where they are written to directly. */
  withRoom(length: number): Uint8Array {
    this.#room(length);
    return this.#bytes;
  }

  get end(): number {
    return this.#length;
  }

  set end(at: number) {
    this.#length = at;
  }

  #room(length: number): void {
    if (this.#length + length <= this.#bytes.length) return;
    const grown = new Uint8Array(Math.max(this.#bytes.length * 2, this.#length + length));
    grown.set(this.#bytes.subarray(0, this.#length));
    this.#bytes = grown;
  }

  byte(value: number): void {
    if (this.#length === this.#bytes.length) this.#room(1);
    this.#bytes[this.#length++] = value;
  }

  u32(value: number): void {
    while (value >= 0x80) {
      this.byte((value & 0x7f) | 0x80);
      value >>>= 7;
    }
    this.byte(value);
  }

  /** An opcode and its index. */
  op(opcode: number, index: number): void {
    const at = this.#length;
    if (index >= 0x80 || at + 2 > this.#bytes.length) {
      this.byte(opcode);
      return this.u32(index);
    }
    this.#bytes[at] = opcode;
    this.#bytes[at + 1] = index;
    this.#length = at + 2;
  }

  /** Four bytes, the lowest first. */
  fixed32(value: number): void {
    for (let shift = 0; shift < 32; shift += 8) this.byte((value >>> shift) & 0xff);
  }

  /** Signed LEB128 of a safe integer. */
  signed(value: number): void {
    if (value >= -0x40 && value < 0x40) return this.byte(value & 0x7f);
    for (;;) {
      const low = ((value % 0x80) + 0x80) % 0x80;
      value = Math.floor(value / 0x80);
      if ((value === 0 && low < 0x40) || (value === -1 && low >= 0x40)) return this.byte(low);
      this.byte(low | 0x80);
    }
  }

  /** Signed LEB128 in five bytes, whatever the value: below 2^33 and not negative, so that it can be written again in place. */
  padded(value: number): void {
    if (this.#length + 5 > this.#bytes.length) this.#room(5);
    this.#length += 5;
    this.#padAt(this.#length - 5, value);
  }

  paddedAt(at: number, value: number): void {
    this.#padAt(this.#from + at, value);
  }

  #padAt(first: number, value: number): void {
    const bytes = this.#bytes;
    bytes[first] = (value & 0x7f) | 0x80;
    bytes[first + 1] = ((value >>> 7) & 0x7f) | 0x80;
    bytes[first + 2] = ((value >>> 14) & 0x7f) | 0x80;
    bytes[first + 3] = ((value >>> 21) & 0x7f) | 0x80;
    bytes[first + 4] = Math.floor(value / 2 ** 28);
  }

  fill(from: number, to: number, byte: number): void {
    this.#bytes.fill(byte, this.#from + from, this.#from + to);
  }

  /** Begins an entry behind what was written: until its end it alone counts, and is what is cleared. */
  beginEntry(): void {
    this.#room(HEAD_BYTES);
    this.#from = this.#length += HEAD_BYTES;
  }

  /** Ends it: its size, the head, and what was written of it. */
  endEntry(head: Writer): void {
    const size = head.length + this.length;
    const [start, end] = [this.#from, this.#length];
    const to = start - HEAD_BYTES + bytesOfU32(size) + head.length;
    if (to > start) this.#room(to - start);
    this.#bytes.copyWithin(to, start, end);
    this.#length = start - HEAD_BYTES;
    this.u32(size);
    for (let i = 0; i < head.length; i++) this.#bytes[this.#length++] = head.#bytes[head.#from + i]!;
    this.#length = to + end - start;
    this.#from = this.#left;
  }

  copy(bytes: Uint8Array, start = 0, end = bytes.length): void {
    const length = this.#length + end - start;
    if (length > this.#bytes.length) this.#room(end - start);
    // an instruction is done before a view of it would be made
    if (end - start < SHORT_BYTES) {
      const to = this.#bytes;
      for (let from = start, at = this.#length; from < end; from++, at++) to[at] = bytes[from]!;
    } else this.#bytes.set(bytes.subarray(start, end), this.#length);
    this.#length = length;
  }

  name(text: string): void {
    this.u32(text.length);
    for (let i = 0; i < text.length; i++) this.byte(text.charCodeAt(i));
  }

  clear(): void {
    this.#length = this.#from;
  }

  /** The bytes written so far, as a view that the next write may make stale. */
  view(): Uint8Array {
    return this.#bytes.subarray(this.#left, this.#length);
  }

  /** The same behind `before`, in the room that was left where that is enough. */
  behind(before: Uint8Array): Uint8Array {
    if (before.length <= this.#left) {
      this.#bytes.set(before, this.#left - before.length);
      return this.#bytes.subarray(this.#left - before.length, this.#length);
    }
    const all = new Uint8Array(before.length + this.length);
    all.set(before);
    all.set(this.view(), before.length);
    return all;
  }
}
