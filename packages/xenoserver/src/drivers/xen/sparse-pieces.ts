/**
 * Files as they are carried to another host: pieces of their bytes, each with where it lies, but for those that are zeros alone. A raw disk
 * takes no more of the way than is on it. Who controls the inputs: the guest (bytes); of what arrives, the server that hands it over.
 */
import { createHash } from "node:crypto";
import { constants } from "node:fs";
import { open } from "node:fs/promises";

const NUMBER_BYTES = 8;
/** With its number it is within what a move takes (PIECE_BYTES_MAX). */
const BYTES = 248 * 1024;
const ZEROS = Buffer.alloc(BYTES);

function numbered(number: number, bytes: Uint8Array): Buffer {
  const head = Buffer.alloc(NUMBER_BYTES);
  head.writeBigUInt64BE(BigInt(number));
  return Buffer.concat([head, bytes]);
}

const ARE_ZEROS = "";
const nameOf = (bytes: Uint8Array): string =>
  ZEROS.subarray(0, bytes.length).equals(bytes) ? ARE_ZEROS : createHash("sha256").update(bytes).digest("base64");

/** What was sent of a file before, by where it lies. */
export type Sent = Map<number, string>;

/** Those that were not `sent`, which says afterwards what was. The first says how many bytes there are in all, and has none. */
export async function* piecesOf(file: string, sent: Sent = new Map()): AsyncGenerator<Uint8Array> {
  const handle = await open(file, "r");
  try {
    const { size } = await handle.stat();
    yield numbered(size, new Uint8Array(0));
    const buffer = Buffer.alloc(BYTES);
    for (let at = 0; at < size;) {
      const { bytesRead } = await handle.read(buffer, 0, Math.min(BYTES, size - at), at);
      if (bytesRead === 0) throw new Error(`${file} was made shorter as it was read`);
      const bytes = buffer.subarray(0, bytesRead);
      const name = nameOf(bytes);
      if ((sent.get(at) ?? ARE_ZEROS) !== name) yield numbered(at, bytes);
      if (name === ARE_ZEROS) sent.delete(at);
      else sent.set(at, name);
      at += bytesRead;
    }
  } finally {
    await handle.close();
  }
}

/** Of what has no file, those of its bytes, wherever they were cut. */
export async function* streamedPieces(stream: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  let at = 0;
  for await (const bytes of stream)
    for (let from = 0; from < bytes.length; from += BYTES) {
      const part = bytes.subarray(from, from + BYTES);
      yield numbered(at, part);
      at += part.length;
    }
}

/** Of a short file, the only one. */
export const wholeOf = (text: string): Uint8Array => numbered(0, Buffer.from(text));

/** Where a piece lies, and what lies there. */
export function partOf(piece: Uint8Array): { at: number; bytes: Uint8Array } {
  if (piece.length < NUMBER_BYTES) throw new Error("a piece of a file does not say where it lies");
  const { buffer, byteOffset, length } = piece;
  const at = Number(Buffer.from(buffer, byteOffset, length).readBigUInt64BE());
  if (!Number.isSafeInteger(at + length)) throw new Error("a piece of a file lies behind the end of every file");
  return { at, bytes: piece.subarray(NUMBER_BYTES) };
}

/** The next piece of a file, which the first one makes. */
export async function addPiece(file: string, piece: Uint8Array): Promise<void> {
  const { at: number, bytes } = partOf(piece);
  const handle = await open(file, constants.O_RDWR | constants.O_CREAT | constants.O_NOFOLLOW, 0o600);
  try {
    if (bytes.length === 0) await handle.truncate(number);
    // a disk that is nearly full takes a part, and says so with the next
    for (let at = 0; at < bytes.length;) at += (await handle.write(bytes, at, bytes.length - at, number + at)).bytesWritten;
  } finally {
    await handle.close();
  }
}
