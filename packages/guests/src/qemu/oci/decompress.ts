/**
 * A layer's bytes as the archive they are, within bounds. What it is packed with is read off its first bytes, as container engines do: names of types
 * are often wrong. Who controls the inputs: the customer, every byte.
 */
import { createReadStream } from "node:fs";
import { open } from "node:fs/promises";
import { Transform, type Readable, type Writable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { createGunzip, createZstdDecompress } from "node:zlib";
import { Refusal } from "../refusal.ts";
import { ZstdFrames } from "./zstd-frames.ts";

const MIB = 1024 * 1024;

export type Packing = "none" | "gzip" | "zstd";

const GZIP = "1f8b";
const ZSTD = /^(28b52ffd|5.2a4d18)/;
/** What engines have seen in the wild and nobody here unpacks. */
const OTHERS: readonly [start: string, name: string][] = [
  ["425a68", "bzip2"],
  ["fd377a585a00", "xz"],
  ["504b0304", "zip"],
];

/** Throws Refusal where it is nothing that is read here. */
export async function packingOf(file: string): Promise<Packing> {
  const handle = await open(file, "r");
  try {
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(6), 0, 6, 0);
    const start = buffer.toString("hex", 0, bytesRead);
    const other = OTHERS.find(([begin]) => start.startsWith(begin));
    if (other) throw new Refusal("bytes", `a layer is packed with ${other[1]}; images have layers packed with gzip or zstd, or not at all`);
    return start.startsWith(GZIP) ? "gzip" : ZSTD.test(start) ? "zstd" : "none";
  } finally {
    await handle.close();
  }
}

class Counted extends Transform {
  bytes = 0;
  readonly #most: number;
  readonly #refusal: () => Refusal;
  constructor(most: number, refusal: () => Refusal) {
    super();
    this.#most = most;
    this.#refusal = refusal;
  }
  override _transform(chunk: Buffer, _: string, done: (error?: Error | null, data?: Buffer) => void): void {
    this.bytes += chunk.length;
    if (this.bytes > this.#most) done(this.#refusal());
    else done(null, chunk);
  }
}

/** Of zlib and zstd: what they say of the bytes they read. */
const isDamage = (error: unknown): boolean => error instanceof Error && "code" in error && /^(Z_|ZSTD_|ERR_ZLIB)/.test(String(error.code));

function through(packing: Packing): (Readable & Writable)[] {
  if (packing === "gzip") return [createGunzip()];
  return packing === "zstd" ? [new ZstdFrames(), createZstdDecompress()] : [];
}

/** Unpacks into `to`; how many bytes came. Throws Refusal where the bytes are at fault or more than `bytesMax`, which `tooMuch` puts into words. */
export async function unpack(file: string, packing: Packing, to: Writable, bytesMax: number, tooMuch: () => string): Promise<number> {
  const counted = new Counted(bytesMax, () => new Refusal("limits", tooMuch()));
  try {
    await pipeline([createReadStream(file, { highWaterMark: MIB }), ...through(packing), counted, to]);
  } catch (cause) {
    if (!isDamage(cause)) throw cause;
    throw new Refusal("bytes", `a layer is damaged: ${packing} says ${(cause as Error).message}`, { cause });
  }
  return counted.bytes;
}
