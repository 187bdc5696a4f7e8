/**
 * Files of the worker's folder, in pieces: one call of the platform takes two GiB at most, and what a guest may bring or leave is larger.
 */
import { closeSync, fstatSync, newSha256, openSync, readSync, writeSync } from "./of-node.ts";

const PIECE_BYTES = 16 * 1024 * 1024;

export function writeAll(fd: number, bytes: Uint8Array, from: number): void {
  for (let at = 0; at < bytes.length;) at += writeSync(fd, bytes, at, Math.min(PIECE_BYTES, bytes.length - at), from + at);
}

export function* piecesOf(file: string): Generator<Uint8Array> {
  const fd = openSync(file, "r");
  try {
    const buffer = new Uint8Array(Math.min(PIECE_BYTES, fstatSync(fd).size));
    for (let read = readSync(fd, buffer); read > 0; read = readSync(fd, buffer)) yield buffer.subarray(0, read);
  } finally {
    closeSync(fd);
  }
}

export function readWhole(file: string): Uint8Array {
  const fd = openSync(file, "r");
  try {
    const bytes = new Uint8Array(fstatSync(fd).size);
    let at = 0;
    for (let read = 1; at < bytes.length && read > 0; at += read)
      read = readSync(fd, bytes, at, Math.min(PIECE_BYTES, bytes.length - at), null);
    if (at < bytes.length) throw new Error(`${file} is shorter than it was`);
    return bytes;
  } finally {
    closeSync(fd);
  }
}

/** SHA-256, hex. */
export function digestOf(chunks: Iterable<Uint8Array>): string {
  const hash = newSha256();
  for (const chunk of chunks) for (let at = 0; at < chunk.length; at += PIECE_BYTES) hash.update(chunk.subarray(at, at + PIECE_BYTES));
  return hash.digest("hex");
}
