/**
 * What a layer is packed with, read off its first bytes, as container engines do: names of types are often wrong. Who controls the inputs:
 * the customer, a registry: every byte.
 */

/** What programs of their own unpack. */
export type ProgramPacking = "bzip2" | "xz";
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
