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
    let result = 0;
    for (let shift = 0; shift < 35; shift += 7) {
      const byte = this.byte();
      result += (byte & 0x7f) * 2 ** shift;
      if (byte < 0x80) return result;
    }
    throw new Refusal("integer too long", this.at, "the module is malformed");
  }

  /** A block type: -64 for none, a negative value type, or a type's index. */
  s33(): number {
    let result = 0;
    for (let shift = 0; shift < 35; shift += 7) {
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

export class Writer {
  #bytes: Uint8Array;
  #length = 0;

  constructor(capacity = 256) {
    this.#bytes = new Uint8Array(capacity);
  }

  get length(): number {
    return this.#length;
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
      this.byte((value % 0x80) | 0x80);
      value = Math.floor(value / 0x80);
    }
    this.byte(value);
  }

  /** Four bytes, the lowest first. */
  fixed32(value: number): void {
    for (let shift = 0; shift < 32; shift += 8) this.byte((value >>> shift) & 0xff);
  }

  /** Signed LEB128 of a safe integer. */
  signed(value: number): void {
    for (;;) {
      const low = ((value % 0x80) + 0x80) % 0x80;
      value = Math.floor(value / 0x80);
      if ((value === 0 && low < 0x40) || (value === -1 && low >= 0x40)) return this.byte(low);
      this.byte(low | 0x80);
    }
  }

  /** Signed LEB128 in five bytes, whatever the value: below 2^33 and not negative, so that it can be written again in place. */
  padded(value: number): void {
    this.#room(5);
    this.#length += 5;
    this.paddedAt(this.#length - 5, value);
  }

  paddedAt(at: number, value: number): void {
    for (let i = 0; i < 5; i++) {
      this.#bytes[at + i] = (value % 0x80) | (i < 4 ? 0x80 : 0);
      value = Math.floor(value / 0x80);
    }
  }

  fill(from: number, to: number, byte: number): void {
    this.#bytes.fill(byte, from, to);
  }

  copy(bytes: Uint8Array, start = 0, end = bytes.length): void {
    this.#room(end - start);
    // an instruction is done before a view of it would be made
    if (end - start < SHORT_BYTES) for (let i = start; i < end; i++) this.#bytes[this.#length + i - start] = bytes[i]!;
    else this.#bytes.set(bytes.subarray(start, end), this.#length);
    this.#length += end - start;
  }

  name(text: string): void {
    this.u32(text.length);
    for (let i = 0; i < text.length; i++) this.byte(text.charCodeAt(i));
  }

  clear(): void {
    this.#length = 0;
  }

  /** The bytes written so far, as a view that the next write may make stale. */
  view(): Uint8Array {
    return this.#bytes.subarray(0, this.#length);
  }
}
