/** A layer that is held here: its digest, and what it unpacks to. Who controls the inputs: whoever made the image, every byte. */
import { toHex } from "@xenoservers/protocol";
import { PACKING_BYTES, packingOf, type Packing } from "@xenoservers/protocol/packing";
import { startSha256, type RunningHash } from "@xenoservers/protocol/system";
import type { Blob } from "../blob.ts";
import { OciError } from "./source.ts";

const READ_BYTES = 1024 * 1024;
/** As browsers and Node call what they unpack. */
const FORMATS: Partial<Record<Packing, string>> = { gzip: "gzip", zstd: "zstd" };

/** Where bytes lie. */
export type Held = Pick<Blob, "size" | "read">;

export interface Unpacked {
  packing: Packing;
  /** Of the bytes as they are. */
  stored: string;
  /** Null where this platform does not unpack it: the server will tell. */
  plain: { digest: string; bytes: number } | null;
}

const digestIn = (hash: RunningHash): string => `sha256:${toHex(hash.digest())}`;

async function* piecesOf({ size, read }: Held): AsyncGenerator<Uint8Array<ArrayBuffer>> {
  for (let at = 0; at < size; at += READ_BYTES) yield (await read(at, READ_BYTES)) as Uint8Array<ArrayBuffer>;
}

/** Piece by piece, as whoever reads asks for it. */
export function streamOf(held: Held): ReadableStream<Uint8Array<ArrayBuffer>> {
  const pieces = piecesOf(held);
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

async function plainOf(stream: ReadableStream<Uint8Array>): Promise<{ digest: string; bytes: number }> {
  const hash = startSha256();
  let bytes = 0;
  for (const reader = stream.getReader(); ;) {
    const { value, done } = await reader.read();
    if (done) return { digest: digestIn(hash), bytes };
    hash.update(value);
    bytes += value.length;
  }
}

/** `name`: of the image, for error texts. Throws OciError where it is packed with what no layer is. */
export async function unpackedOf(held: Held, name: string): Promise<Unpacked> {
  const found = packingOf(await held.read(0, Math.min(held.size, PACKING_BYTES)));
  if (!found.ok) throw new OciError(`${name}: ${found.why}`);
  const { packing } = found;
  if (packing === "none") {
    const plain = await plainOf(streamOf(held));
    return { packing, stored: plain.digest, plain };
  }
  const [stored, unpacker] = [startSha256(), unpackerFor(packing)];
  // a layer of several members (pigz, stargz) is right, and more than some browsers unpack: what it is, the server says
  const plain = unpacker && (await plainOf(streamOf(held).pipeThrough(unpacker)).catch(() => null));
  for await (const piece of piecesOf(held)) stored.update(piece);
  return { packing, stored: digestIn(stored), plain };
}
