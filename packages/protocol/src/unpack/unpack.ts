/**
 * Layers of images as the archives they are, for both who sends and who takes them. What a layer is packed with is read off its first
 * bytes, as container engines do: names of types are often wrong. Who controls the inputs: the customer, a registry: every byte.
 */
import type { Transform } from "node:stream";
import zlib from "node:zlib";
import { isByProgram, type Packing } from "./packing.ts";
import { UnpackError } from "./programs.ts";
import { ZstdFrames } from "./zstd-frames.ts";

export { PROGRAMS, throughProgram } from "./programs.ts";
export { PACKING_BYTES, isByProgram, packingOf, type Packing, type ProgramPacking } from "./packing.ts";

/** Streams through which the bytes go, one after the other; null where this version of Node cannot unpack it, or a program has to. */
export function unpackers(packing: Packing): Transform[] | null {
  if (packing === "gzip") return [zlib.createGunzip()];
  if (packing === "none") return [];
  if (isByProgram(packing)) return null;
  return "createZstdDecompress" in zlib ? [new ZstdFrames(), zlib.createZstdDecompress()] : null;
}

/** Whether an error is what zlib, zstd or a program say of the bytes they read. */
export const isDamage = (error: unknown): error is Error =>
  error instanceof UnpackError || (error instanceof Error && "code" in error && /^(Z_|ZSTD_|ERR_ZLIB)/.test(String(error.code)));
