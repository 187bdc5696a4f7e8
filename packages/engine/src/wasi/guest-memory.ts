/** Reads and writes the guest's linear memory. Every pointer is the guest's: out of bounds is EFAULT, never a host error. */
import { WasiError } from "./abi.ts";
import { VECTORS_MAX } from "./limits.ts";

const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
const encoder = new TextEncoder();

export const encodeUtf8 = (text: string): Uint8Array => encoder.encode(text);

export class GuestMemory {
  #memory: WebAssembly.Memory | null = null;
  #view = new DataView(new ArrayBuffer(0));

  /** Bytes that calls have read or written in bulk: what a call costs. */
  touched = 0;

  attach(memory: WebAssembly.Memory): void {
    this.#memory = memory;
  }

  get size(): number {
    return this.#memory?.buffer.byteLength ?? 0;
  }

  /** The whole memory, or null before the guest has one. */
  get all(): Uint8Array | null {
    return this.#memory && new Uint8Array(this.#memory.buffer);
  }

  get view(): DataView {
    if (!this.#memory) throw new WasiError("FAULT");
    if (this.#view.buffer !== this.#memory.buffer) this.#view = new DataView(this.#memory.buffer);
    return this.#view;
  }

  bytes(pointer: number, length: number): Uint8Array {
    const { buffer } = this.view;
    const start = pointer >>> 0;
    const size = length >>> 0;
    if (start + size > buffer.byteLength) throw new WasiError("FAULT");
    this.touched += size;
    return new Uint8Array(buffer, start, size);
  }

  /** A path, or a link's target, of so many bytes at most. */
  text(pointer: number, length: number, bytesMax: number): string {
    if (length >>> 0 > bytesMax) throw new WasiError("NAMETOOLONG");
    try {
      return decoder.decode(this.bytes(pointer, length).slice());
    } catch (error) {
      throw error instanceof WasiError ? error : new WasiError("ILSEQ");
    }
  }

  #at(pointer: number, size: number): number {
    const start = pointer >>> 0;
    if (start + size > this.view.byteLength) throw new WasiError("FAULT");
    return start;
  }
  u8(pointer: number): number {
    return this.view.getUint8(this.#at(pointer, 1));
  }
  u16(pointer: number): number {
    return this.view.getUint16(this.#at(pointer, 2), true);
  }
  u32(pointer: number): number {
    return this.view.getUint32(this.#at(pointer, 4), true);
  }
  u64(pointer: number): bigint {
    return this.view.getBigUint64(this.#at(pointer, 8), true);
  }
  setU8(pointer: number, value: number): void {
    this.view.setUint8(this.#at(pointer, 1), value);
  }
  setU16(pointer: number, value: number): void {
    this.view.setUint16(this.#at(pointer, 2), value, true);
  }
  setU32(pointer: number, value: number): void {
    this.view.setUint32(this.#at(pointer, 4), value, true);
  }
  setU64(pointer: number, value: bigint): void {
    this.view.setBigUint64(this.#at(pointer, 8), value, true);
  }

  /** The buffers of an iovec or ciovec array. */
  vectors(pointer: number, count: number): Uint8Array[] {
    if (count >>> 0 > VECTORS_MAX) throw new WasiError("INVAL");
    return Array.from({ length: count >>> 0 }, (_, i) => this.bytes(this.u32(pointer + 8 * i), this.u32(pointer + 8 * i + 4)));
  }

  /** NUL-terminated strings one after the other, with a pointer to each (argv, environ). */
  setStrings(pointers: number, buffer: number, texts: readonly Uint8Array[]): void {
    let at = buffer;
    for (const [i, text] of texts.entries()) {
      this.setU32(pointers + 4 * i, at);
      this.bytes(at, text.length).set(text);
      this.setU8(at + text.length, 0);
      at += text.length + 1;
    }
  }
}
