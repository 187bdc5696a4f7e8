/** Digests by which an image's parts are named, and by which hash each is looked at. Who controls the inputs: whoever made the image. */
import { toHex } from "@xenoservers/protocol";
import { HASH_NAMES, startHash, type HashName } from "@xenoservers/protocol/hashes";

/** By which servers know blobs. */
export const OURS = "sha256";

/** What a part may be fetched by: the hashes that registries have (image-spec, descriptor.md). */
const DIGEST = /^(?:sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128})$/;

export const isDigest = (text: unknown): text is string => typeof text === "string" && DIGEST.test(text);

/** The hash that a digest is of, and its value. */
export function partsOf(digest: string): { algorithm: string; hex: string } {
  const [algorithm = "", hex = ""] = digest.split(":");
  return { algorithm, hex };
}

/** The hash that a digest is of; ours where there is none, or one that nobody knows: such a digest is met by nothing. */
export function hashLike(digest: string | null | undefined): HashName {
  const { algorithm } = partsOf(digest ?? "");
  return HASH_NAMES.find((name) => name === algorithm) ?? OURS;
}

export function hashOf(bytes: Uint8Array, name: HashName = OURS): string {
  const hash = startHash(name);
  hash.update(bytes);
  return `${name}:${toHex(hash.digest())}`;
}
