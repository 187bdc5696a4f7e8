/** A layer that is held here: its digest, and what it unpacks to. Who controls the inputs: whoever made the image, every byte. */
import { toHex } from "@xenoservers/protocol";
import { startHash, type HashName } from "@xenoservers/protocol/hashes";
import { PACKING_BYTES, packingOf, type Packing } from "@xenoservers/protocol/packing";
import type { Blob } from "../blob.ts";
import type { Passed } from "../given-bytes.ts";
import { OURS, hashLike } from "./hash-like.ts";
import { OciError } from "./source.ts";

/** Hashed at once, as what is read of other files (given-bytes.ts). */
const READ_BYTES = 128 * 1024;
/** A browser unpacks all of what it is given at once, which may be a thousand times as much. */
const UNPACKED_FROM_BYTES = 64 * 1024;
/** As browsers and Node call what they unpack. */
const FORMATS: Partial<Record<Packing, string>> = { gzip: "gzip", zstd: "zstd" };

/** Where bytes lie. */
export type Held = Pick<Blob, "size" | "read">;

/** What it is stated to be, as it is and unpacked: it is hashed by the same. */
interface Stated {
  stored?: string;
  plain?: string | null | undefined;
}

export interface Unpacked {
  packing: Packing;
  /** Of the bytes as they are. */
  stored: string;
  /** The same by the hash by which that is stated. */
  storedLike: string;
  /** By the hash by which it is stated. Null where this platform does not unpack it: the server will tell. */
  plain: { digest: string; bytes: number } | null;
}

/** Of the same bytes by several hashes, each counted once. */
class Digests {
  readonly #hashes = new Map<HashName, ReturnType<typeof startHash>>();
  bytes = 0;

  constructor(...names: HashName[]) {
    for (const name of names) if (!this.#hashes.has(name)) this.#hashes.set(name, startHash(name));
  }

  update(piece: Uint8Array): void {
    this.bytes += piece.length;
    for (const hash of this.#hashes.values()) hash.update(piece);
  }

  by(name: HashName): string {
    return `${name}:${toHex(this.#hashes.get(name)?.digest() ?? new Uint8Array())}`;
  }
}

async function* piecesOf({ size, read }: Held, passed: Passed): AsyncGenerator<Uint8Array<ArrayBuffer>> {
  for (let at = 0; at < size; at += READ_BYTES) {
    const piece = (await read(at, READ_BYTES)) as Uint8Array<ArrayBuffer>;
    passed(piece.length);
    yield piece;
  }
}

async function* smallPiecesOf(held: Held, passed: Passed): AsyncGenerator<Uint8Array<ArrayBuffer>> {
  for await (const piece of piecesOf(held, passed))
    for (let at = 0; at < piece.length; at += UNPACKED_FROM_BYTES) yield piece.subarray(at, at + UNPACKED_FROM_BYTES);
}

/** Piece by piece, as whoever reads asks for it. */
function streamOf(pieces: AsyncGenerator<Uint8Array<ArrayBuffer>>): ReadableStream<Uint8Array<ArrayBuffer>> {
  return new ReadableStream<Uint8Array<ArrayBuffer>>(
    {
      async pull(controller) {
        const { value, done } = await pieces.next();
        if (done) return controller.close();
        controller.enqueue(value);
      },
    },
    { highWaterMark: 0 },
  );
}

/** Null where this platform does not unpack what is packed so. */
export function unpackerFor(packing: Packing): DecompressionStream | null {
  const format = FORMATS[packing];
  if (format === undefined) return null;
  try {
    return new DecompressionStream(format as "gzip");
  } catch {
    return null; // of zstd not every browser knows
  }
}

export const unpackedStream = (held: Held, unpacker: DecompressionStream, passed: Passed): ReadableStream<Uint8Array<ArrayBuffer>> =>
  streamOf(smallPiecesOf(held, passed)).pipeThrough(unpacker);

async function readInto(digests: Digests, stream: ReadableStream<Uint8Array>, came: Passed = () => {}): Promise<Digests> {
  const reader = stream.getReader();
  try {
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return digests;
      came(value.length);
      digests.update(value);
    }
  } catch (error) {
    // what is left is not unpacked
    reader.cancel().catch(() => {});
    throw error;
  }
}

/** Whoever is told as a layer is read. */
export interface Told {
  /** Of each of its bytes once. */
  passed: Passed;
  /** Of what comes out of one that is packed; throws OciError where no more may. */
  unpacked: Passed;
}

/** `name`: of the image, for error texts. Throws OciError where it is packed with what no layer is, or unpacks to more than may be. */
export async function unpackedOf(held: Held, name: string, stated: Stated, { passed, unpacked }: Told): Promise<Unpacked> {
  const found = packingOf(await held.read(0, Math.min(held.size, PACKING_BYTES)));
  if (!found.ok) throw new OciError(`${name}: ${found.why}`);
  const { packing } = found;
  const [like, plainLike] = [hashLike(stated.stored), hashLike(stated.plain)];
  if (packing === "none") {
    const all = await readInto(new Digests(OURS, like, plainLike), streamOf(piecesOf(held, passed)));
    return { packing, stored: all.by(OURS), storedLike: all.by(like), plain: { digest: all.by(plainLike), bytes: all.bytes } };
  }
  const unpacker = unpackerFor(packing);
  // a layer of several members (pigz, stargz) is right, and more than some browsers unpack: what it is, the server says
  const half: Passed = (bytes) => passed(bytes / 2); // it is read twice
  const damaged = (error: unknown): null => {
    if (error instanceof OciError) throw error;
    return null;
  };
  const plain = unpacker && (await readInto(new Digests(plainLike), unpackedStream(held, unpacker, half), unpacked).catch(damaged));
  const as = new Digests(OURS, like);
  for await (const piece of piecesOf(held, unpacker ? half : passed)) as.update(piece);
  return { packing, stored: as.by(OURS), storedLike: as.by(like), plain: plain && { digest: plain.by(plainLike), bytes: plain.bytes } };
}
