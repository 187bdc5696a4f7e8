/**
 * Answers that somebody on the way has packed, though none was asked to be (RFC 9110, 8.4): a registry means the bytes within. What lies
 * packed in a registry is often called so, too: it is taken as it is first, and its size tells. Who controls the inputs: the registry,
 * every byte.
 */
import { pipeline } from "node:stream/promises";
import { createGunzip } from "node:zlib";
import { isDamage } from "@xenoservers/protocol/unpack";
import type { Answer } from "./answer.ts";
import { Mishap } from "./patience.ts";

/** Whether it says so of itself. */
export const isCalledPacked = ({ headers }: Answer): boolean => /^(x-)?gzip$/i.test(headers["content-encoding"]?.trim() ?? "");

/** Of a manifest, which is text. */
export const isPackedText = (answer: Answer, bytes: Uint8Array): boolean =>
  isCalledPacked(answer) && bytes[0] === 0x1f && bytes[1] === 0x8b;

/** What is within, piece by piece. Throws Mishap where it is damaged. */
export async function* unpacked(chunks: AsyncIterable<Uint8Array>, host: string): AsyncGenerator<Buffer> {
  const gunzip = createGunzip();
  const came = pipeline(chunks, gunzip).catch((error: unknown) => error);
  try {
    for await (const piece of gunzip) yield piece as Buffer;
  } catch (error) {
    throw isDamage(error) ? new Mishap(`${host} packs what it sends, and damages it (${error.message})`) : error;
  } finally {
    gunzip.destroy();
    await came;
  }
}
