/** A file's bytes, in pieces, so that a file which grows is not copied and takes what is counted for it: `fileCapacity(size)`, no more. */
import { CHUNK_BYTES, chunkCapacity } from "./limits.ts";

export interface FileBytes {
  /** Whole pieces but for the last, which has the capacity of its part. */
  chunks: Uint8Array[];
  size: number;
}

/** Sets the size; new bytes are zero. Throws RangeError where the host has no memory. */
export function setSize(file: FileBytes, size: number): void {
  const { chunks } = file;
  const count = Math.ceil(size / CHUNK_BYTES);
  const first = Math.max(0, Math.min(count, chunks.length) - 1);
  chunks.length = Math.min(count, chunks.length);
  for (let i = first; i < count; i++) {
    const capacity = i < count - 1 ? CHUNK_BYTES : chunkCapacity(size - i * CHUNK_BYTES);
    const before = chunks[i];
    if (before?.length === capacity) continue;
    const chunk = new Uint8Array(capacity);
    if (before) chunk.set(before.subarray(0, capacity));
    chunks[i] = chunk;
  }
  if (size < file.size && count > 0) chunks[count - 1]!.fill(0, size - (count - 1) * CHUNK_BYTES);
  file.size = size;
}

/** Copies what there is from an offset on; returns how much. */
export function readBytes({ chunks, size }: FileBytes, offset: number, into: Uint8Array): number {
  const end = Math.min(size, offset + into.length);
  for (let at = offset; at < end;) {
    const i = Math.floor(at / CHUNK_BYTES);
    const from = at - i * CHUNK_BYTES;
    const part = chunks[i]!.subarray(from, from + Math.min(CHUNK_BYTES - from, end - at));
    into.set(part, at - offset);
    at += part.length;
  }
  return Math.max(0, end - offset);
}

/** Copies all of `from` to an offset; the size must allow it. */
export function writeBytes({ chunks }: FileBytes, offset: number, from: Uint8Array): void {
  for (let done = 0; done < from.length;) {
    const i = Math.floor((offset + done) / CHUNK_BYTES);
    const at = offset + done - i * CHUNK_BYTES;
    const part = from.subarray(done, done + CHUNK_BYTES - at);
    chunks[i]!.set(part, at);
    done += part.length;
  }
}

/** The bytes up to the size, piece by piece, as views. */
export function* chunksOf({ chunks, size }: FileBytes): Generator<Uint8Array<ArrayBufferLike>> {
  for (const [i, chunk] of chunks.entries()) yield chunk.subarray(0, Math.min(chunk.length, size - i * CHUNK_BYTES));
}

export function wholeBytes(file: FileBytes): Uint8Array {
  const bytes = new Uint8Array(file.size);
  readBytes(file, 0, bytes);
  return bytes;
}
