/** In JavaScript: WebCrypto hashes only what it has whole. */
import { sha256, sha384, sha512 } from "@noble/hashes/sha2.js";
import type { StartHash } from "./hashes.ts";

export { HASH_NAMES } from "./hashes.ts";
export type { HashName } from "./hashes.ts";

const HASHES = { sha256, sha384, sha512 };

export const startHash: StartHash = (name) => {
  const hash = HASHES[name].create();
  return { update: (bytes) => void hash.update(bytes), digest: () => hash.clone().digest() };
};
