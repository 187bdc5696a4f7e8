/**
 * Where the parts of an OCI image come from: a registry, a layout folder, an archive. Bytes are checked against their digests whoever
 * gives them.
 */
import { hashLike, hashOf } from "./hash-like.ts";

export interface Descriptor {
  digest: string;
  size: number;
}
/** How much of it is here: less than before where it begins anew. */
export type OnBytes = (bytes: number) => void;

export interface Manifests {
  /** For error texts: what was asked, without secrets. */
  readonly name: string;
  /** A manifest or index by tag or digest, which is checked (null: the source's only one), with its media type. */
  manifest(version: string | null): Promise<{ mediaType: string; bytes: Uint8Array }>;
}

export interface OciSource extends Manifests {
  /** Puts a blob into a file; its digest is checked by the caller. */
  save(blob: Descriptor, file: string, onBytes: OnBytes): Promise<void>;
}

/** Throws OciError where bytes that were asked for by digest are others. */
export function checkDigest(bytes: Uint8Array, digest: string, name: string): Uint8Array {
  if (hashOf(bytes, hashLike(digest)) !== digest)
    throw new OciError(`what ${name} gives for ${digest.slice(0, 19)} has another digest: it is damaged or was changed`);
  return bytes;
}

/** What is wrong with an image or its registry, in words for the customer. */
export class OciError extends Error {
  override name = "OciError";
}
