/** A layer's bytes as the archive they are, within bounds. Who controls the inputs: the customer, every byte. */
import { createReadStream } from "node:fs";
import { open } from "node:fs/promises";
import { Transform, type Writable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { PACKING_BYTES, isDamage, packingOf, unpackers, type Packing } from "@xenoservers/protocol/unpack";
import { Refusal } from "../refusal.ts";

const READ_BYTES = 1024 * 1024;

/** Throws Refusal where it is nothing that is read here. */
export async function packingOfFile(file: string): Promise<Packing> {
  const handle = await open(file, "r");
  try {
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(PACKING_BYTES), 0, PACKING_BYTES, 0);
    const found = packingOf(buffer.subarray(0, bytesRead));
    if (!found.ok) throw new Refusal("bytes", found.why);
    return found.packing;
  } finally {
    await handle.close();
  }
}

/** Passes on so many bytes and no more. */
class Bounded extends Transform {
  #left: number;
  readonly #refusal: () => Refusal;
  constructor(most: number, refusal: () => Refusal) {
    super();
    this.#left = most;
    this.#refusal = refusal;
  }
  override _transform(chunk: Buffer, _: string, done: (error?: Error | null, data?: Buffer) => void): void {
    this.#left -= chunk.length;
    if (this.#left < 0) done(this.#refusal());
    else done(null, chunk);
  }
}

interface Most {
  bytesMax: number;
  tooMuch(): Refusal;
  signal?: AbortSignal;
}

/** Unpacks into `to`. Throws Refusal where the bytes are at fault or, by `tooMuch`, more than `bytesMax`; anything where called off. */
export async function unpack(file: string, packing: Packing, to: Writable, { bytesMax, tooMuch, signal }: Most): Promise<void> {
  const through = unpackers(packing);
  if (!through) throw new Error(`this version of Node cannot unpack ${packing}`);
  try {
    const bounded = new Bounded(bytesMax, tooMuch);
    await pipeline([createReadStream(file, { highWaterMark: READ_BYTES }), ...through, bounded, to], signal ? { signal } : {});
  } catch (cause) {
    if (signal?.aborted === true) throw cause;
    if (!isDamage(cause)) throw cause;
    throw new Refusal("bytes", `a layer is damaged: ${packing} says ${cause.message}`, { cause });
  }
}
