/**
 * Bytes that a program hands in where another names a file: a page's Blob or File, bytes, a stream. Who controls the inputs: the program
 * that calls.
 */
import { toHex } from "@xenoservers/protocol";
import { startSha256 } from "@xenoservers/protocol/system";
import { bytesBlob, type Blob } from "./blob.ts";
import { assertWanted, unlessOff } from "./calling-off.ts";
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

/** How much of a file was read, of which every byte is read before anything is ordered. */
export interface ReadProgress {
  /** Of the file, for people. */
  name: string;
  bytes: number;
  /** Null: a stream, whose end nobody knows. */
  bytesInAll: number | null;
}

/** Whoever waits while files are read. */
export interface Reading {
  /** Nothing more is read. */
  signal?: AbortSignal | undefined;
  /** Called after each piece. */
  onRead?: ((progress: ReadProgress) => void) | undefined;
}

/** Called with how many bytes have been read anew. Throws AbortedError where no more are wanted. */
export type Passed = (bytes: number) => void;

export function passedOf({ signal, onRead }: Reading, name: string, bytesInAll: number | null): Passed {
  let bytes = 0;
  return (more) => {
    assertWanted(signal);
    bytes = Math.min(bytes + more, bytesInAll ?? Number.MAX_SAFE_INTEGER);
    onRead?.({ name, bytes: Math.floor(bytes), bytesInAll });
  };
}

/** What can be read before it is hashed. */
export interface OpenedBytes {
  /** For people. */
  name: string;
  size: number;
  read(offset: number, length: number): Promise<Uint8Array>;
  /** All of it, by its digest. */
  blob(): Promise<Blob>;
}

/** A page does nothing else while one is hashed: half a millisecond, and no frame of it is late where its processor is shared. */
const HASHED_BYTES = 128 * 1024;

const pieceOf = async (held: HeldBytes, offset: number, length: number): Promise<Uint8Array> =>
  new Uint8Array(await held.slice(offset, offset + length).arrayBuffer());

/** The next piece is read while one is hashed. */
async function digestOf(held: HeldBytes, passed: Passed, signal: AbortSignal | undefined): Promise<string> {
  const hash = startSha256();
  let next = pieceOf(held, 0, HASHED_BYTES);
  for (let at = 0; at < held.size; at += HASHED_BYTES) {
    const now = await unlessOff(signal, next);
    next = pieceOf(held, at + HASHED_BYTES, HASHED_BYTES);
    next.catch(() => {}); // said when its turn has come
    hash.update(now);
    passed(now.length);
  }
  return toHex(hash.digest());
}

function isHeld(given: object): given is HeldBytes {
  return typeof Reflect.get(given, "slice") === "function" && typeof Reflect.get(given, "arrayBuffer") === "function";
}

/** All of a stream, where the platform keeps its Blobs. */
async function heldOf(stream: ReadableStream<Uint8Array>, passed: Passed, signal: AbortSignal | undefined): Promise<HeldBytes> {
  const counted = new TransformStream<Uint8Array, Uint8Array<ArrayBuffer>>({
    transform(piece, out) {
      passed(piece.length);
      out.enqueue(piece as Uint8Array<ArrayBuffer>);
    },
  });
  return new Response(stream.pipeThrough(counted, signal ? { signal } : {})).blob();
}

/**
 * `option`: what it was handed in for. Throws InputError where it is nothing of the kind. Whoever calls the reading off ends it; what was
 * read by then is let go of.
 */
export async function openGiven(given: Exclude<Given, string>, option: string, reading: Reading = {}): Promise<OpenedBytes> {
  const { signal } = reading;
  const name = option.replace(/^--/, "");
  if (given instanceof Uint8Array) {
    // whoever gave it may change it while it is sent; a Buffer's slice is no copy
    const blob = bytesBlob(Uint8Array.from(given));
    return { name, size: blob.size, read: blob.read, blob: async () => blob };
  }
  const held = given instanceof ReadableStream ? await heldOf(given, passedOf(reading, name, null), signal) : given;
  if (!isHeld(held)) throw new InputError(`${option} is a file's name, bytes, a Blob or a stream of bytes`);
  const read: Blob["read"] = (offset, length) => pieceOf(held, offset, length);
  const { size } = held;
  const called = held.name ?? name;
  const blob = async (): Promise<Blob> => {
    const digest = await digestOf(held, passedOf(reading, called, size), signal);
    return { digest, size, read, isReadAnew: true };
  };
  return { name: called, size, read, blob };
}
