/** What every driver's checks of work share. */
import { canonicalBytes, toHex, type Crypto, type VmSpec } from "@xenoservers/protocol";
import type { InputEntry, InputTree } from "@xenoservers/protocol/channel";
import type { Ordered } from "./driver.ts";

/** The digest under which a tree stands in a job's spec or a result. */
export const digestOf = (crypto: Crypto, tree: InputTree | readonly InputEntry[]): string =>
  toHex(crypto.sha256(canonicalBytes("mounts" in tree ? { entries: tree.entries, mounts: tree.mounts } : tree)));

/** The first check that fails, in words; null when all hold. */
export const firstProblem = (checks: readonly (readonly [right: boolean, why: string])[]): string | null =>
  checks.find(([right]) => !right)?.[1] ?? null;

/** What a machine may reach is what was ordered and is paid for, and it has a card for it. */
export const egressCheck = ({ egress, network }: VmSpec, { po, order }: Ordered): readonly [right: boolean, why: string] => [
  JSON.stringify(egress) === JSON.stringify(order.egress) && (egress === "none" || (network && po.egressMibMax > 0)),
  "the machine's egress is not the order's",
];
