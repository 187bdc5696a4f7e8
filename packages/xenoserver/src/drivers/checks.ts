/** What every driver's checks of work share. */
import { canonicalBytes, toHex, type Crypto } from "@xenoservers/protocol";
import type { InputEntry, InputTree } from "@xenoservers/protocol/channel";

/** The digest under which a tree stands in a job's spec or a result. */
export const digestOf = (crypto: Crypto, tree: InputTree | readonly InputEntry[]): string =>
  toHex(crypto.sha256(canonicalBytes("mounts" in tree ? { entries: tree.entries, mounts: tree.mounts } : tree)));

/** The first check that fails, in words; null when all hold. */
export const firstProblem = (checks: readonly (readonly [right: boolean, why: string])[]): string | null =>
  checks.find(([right]) => !right)?.[1] ?? null;
