/**
 * Layers of images as the archives they are, for both who sends and who takes them. What a layer is packed with is read off its first
 * bytes, as container engines do: names of types are often wrong. Who controls the inputs: the customer, a registry: every byte.
 */
import type { Transform } from "node:stream";
import zlib from "node:zlib";
import { UnpackError, type ProgramPacking } from "./programs.ts";
import { ZstdFrames } from "./zstd-frames.ts";

export { PROGRAMS, throughProgram, type ProgramPacking } from "./programs.ts";
export type Packing = "none" | "gzip" | "zstd" | ProgramPacking;

/** How many bytes `packingOf` looks at. */
export const PACKING_BYTES = 6;

const startsWith = (bytes: Uint8Array, start: readonly number[]): boolean => start.every((byte, i) => bytes[i] === byte);
const GZIP = [0x1f, 0x8b];
const ZSTD = [0x28, 0xb5, 0x2f, 0xfd];
/** Of frames to be skipped, which may come first; the first byte's lower half is free. */
const SKIPPED = [0x2a, 0x4d, 0x18];
const BY_PROGRAM: readonly [start: readonly number[], packing: ProgramPacking][] = [
  [[0x42, 0x5a, 0x68], "bzip2"],
  [[0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00], "xz"],
];
/** What is seen in the wild, and no layer may be packed with. */
const ZIP = [0x50, 0x4b, 0x03, 0x04];

/** By a file's first bytes; in words, why it is nothing that a layer is packed with. */
export function packingOf(bytes: Uint8Array): { ok: true; packing: Packing } | { ok: false; why: string } {
  if (startsWith(bytes, ZIP))
    return { ok: false, why: "a layer is packed with zip; images have layers packed with gzip, zstd, bzip2 or xz, or not at all" };
  const other = BY_PROGRAM.find(([start]) => startsWith(bytes, start));
  if (other) return { ok: true, packing: other[1] };
  const [first = 0, ...rest] = bytes;
  const isSkipped = (first & 0xf0) === 0x50 && startsWith(Uint8Array.from(rest), SKIPPED);
  return { ok: true, packing: startsWith(bytes, GZIP) ? "gzip" : isSkipped || startsWith(bytes, ZSTD) ? "zstd" : "none" };
}

export const isByProgram = (packing: Packing): packing is ProgramPacking => packing === "bzip2" || packing === "xz";

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
