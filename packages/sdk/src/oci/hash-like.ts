/** By which hash a part of an image is looked at. Who controls the inputs: whoever made the image, every digest. */
import { HASH_NAMES, type HashName } from "@xenoservers/protocol/hashes";
import { partsOf } from "./source.ts";

/** By which servers know blobs. */
export const OURS = "sha256";

/** The hash that a digest is of; ours where there is none, or one that nobody knows: such a digest is met by nothing. */
export function hashLike(digest: string | null | undefined): HashName {
  const { algorithm } = partsOf(digest ?? "");
  return HASH_NAMES.find((name) => name === algorithm) ?? OURS;
}
