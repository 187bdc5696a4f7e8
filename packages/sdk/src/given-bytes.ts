/**
 * Bytes that a program hands in where another names a file: a page's Blob or File, bytes, a stream. Who controls the inputs: the program
 * that calls.
 */
import { toHex } from "@xenoservers/protocol";
import { startSha256 } from "@xenoservers/protocol/system";
import { bytesBlob, type Blob } from "./blob.ts";
import { InputError } from "./errors.ts";

/** A Blob or File of a browser, or Node's: read piece by piece, never whole. */
export interface HeldBytes {
  readonly size: number;
  readonly name?: string;
  slice(start?: number, end?: number): HeldBytes;
  arrayBuffer(): Promise<ArrayBuffer>;
}

/** A file by its name, or what it holds. What comes in a stream is held first, where the platform keeps its Blobs. */
export type Given = string | Uint8Array | HeldBytes | ReadableStream<Uint8Array>;

/** What can be read before it is hashed. */
export interface OpenedBytes {
  /** For people. */
  name: string;
  size: number;
  read(offset: number, length: number): Promise<Uint8Array>;
  /** All of it, by its digest. */
  blob(): Promise<Blob>;
}

/** A page does nothing else while one is hashed: a few milliseconds. */
const HASHED_BYTES = 1024 * 1024;

const pieceOf = async (held: HeldBytes, offset: number, length: number): Promise<Uint8Array> =>
  new Uint8Array(await held.slice(offset, offset + length).arrayBuffer());

/** The next piece is read while one is hashed. */
async function digestOf(held: HeldBytes): Promise<string> {
  const hash = startSha256();
  let next = pieceOf(held, 0, HASHED_BYTES);
  for (let at = 0; at < held.size; at += HASHED_BYTES) {
    const now = await next;
    next = pieceOf(held, at + HASHED_BYTES, HASHED_BYTES);
    next.catch(() => {}); // said when its turn has come
    hash.update(now);
  }
  return toHex(hash.digest());
}

function isHeld(given: object): given is HeldBytes {
  return typeof Reflect.get(given, "slice") === "function" && typeof Reflect.get(given, "arrayBuffer") === "function";
}

/** `option`: what it was handed in for. Throws InputError where it is nothing of the kind. */
export async function openGiven(given: Exclude<Given, string>, option: string): Promise<OpenedBytes> {
  const name = option.replace(/^--/, "");
  if (given instanceof Uint8Array) {
    // whoever gave it may change it while it is sent; `slice` of a Buffer copies nothing
    const blob = bytesBlob(new Uint8Array(given));
    return { name, size: blob.size, read: blob.read, blob: async () => blob };
  }
  const held = given instanceof ReadableStream ? await new Response(given as ReadableStream<Uint8Array<ArrayBuffer>>).blob() : given;
  if (!isHeld(held)) throw new InputError(`${option} is a file's name, bytes, a Blob or a stream of bytes`);
  const read: Blob["read"] = (offset, length) => pieceOf(held, offset, length);
  const { size } = held;
  const blob = async (): Promise<Blob> => ({ digest: await digestOf(held), size, read, isReadAnew: true });
  return { name: held.name ?? name, size, read, blob };
}
