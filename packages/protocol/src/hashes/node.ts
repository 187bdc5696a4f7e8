/** Node's own, which are OpenSSL's. */
import { createHash } from "node:crypto";
import type { StartHash } from "./hashes.ts";

export { HASH_NAMES } from "./hashes.ts";
export type { HashName } from "./hashes.ts";

export const startHash: StartHash = (name) => {
  const hash = createHash(name);
  return { update: (bytes) => void hash.update(bytes), digest: () => hash.copy().digest() };
};
