/**
 * Where the parts of an OCI image come from: a registry, a layout folder, an archive. Bytes are checked against their digests whoever
 * gives them.
 */
import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";

export interface Descriptor {
  digest: string;
  size: number;
}
/** How much of it is here: less than before where it begins anew. */
export type OnBytes = (bytes: number) => void;

export interface OciSource {
  /** For error texts: what was asked, without secrets. */
  readonly name: string;
  /** A manifest or index by tag or digest, which is checked (null: the source's only one), with its media type. */
  manifest(version: string | null): Promise<{ mediaType: string; bytes: Uint8Array }>;
  /** Puts a blob into a file; its digest is checked by the caller. */
  save(blob: Descriptor, file: string, onBytes: OnBytes): Promise<void>;
}

/** The hash that a digest is of, and its value. */
export function partsOf(digest: string): { algorithm: string; hex: string } {
  const [algorithm = "", hex = ""] = digest.split(":");
  return { algorithm, hex };
}

/** Of a file, by the hash that `like` is of. */
export async function digestOfFile(file: string, like: string): Promise<string> {
  const { algorithm } = partsOf(like);
  const hash = createHash(algorithm);
  for await (const chunk of createReadStream(file)) hash.update(chunk);
  return `${algorithm}:${hash.digest("hex")}`;
}

export const hashOf = (bytes: Uint8Array): string => `sha256:${createHash("sha256").update(bytes).digest("hex")}`;

/** Throws OciError where bytes that were asked for by digest are others. */
export function checkDigest(bytes: Uint8Array, digest: string, name: string): Uint8Array {
  if (hashOf(bytes) !== digest)
    throw new OciError(`what ${name} gives for ${digest.slice(0, 19)} has another digest: it is damaged or was changed`);
  return bytes;
}

/** What is wrong with an image or its registry, in words for the customer. */
export class OciError extends Error {
  override name = "OciError";
}
