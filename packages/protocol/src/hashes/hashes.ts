/** Hashes by which the parts of images are named, and that go on. Both platforms pass one contract (hashes.test.ts). */
import type { RunningHash } from "../system/system.ts";

/** Those of the image specification (descriptor.md), and the one that engines know besides. */
export const HASH_NAMES = ["sha256", "sha384", "sha512"] as const;
export type HashName = (typeof HASH_NAMES)[number];

export type StartHash = (name: HashName) => RunningHash;
