/** Packs what was found into evidence; nothing that would not stand by the market's own keys. */
import {
  EVIDENCE_FORMAT,
  leafHash,
  toHex,
  type Crypto,
  type Envelope,
  type EvidenceOf,
  type MarketHistory,
  type MarketPins,
  type Place,
} from "@xenoservers/protocol";
import { acceptedAt, brokenPromise } from "./broken-promise.ts";
import { contradicted } from "./contradicted.ts";
import { forked } from "./forked.ts";
import { lost } from "./lost.ts";

/** The market whose evidence it is: its pinned keys, and what of its own history goes with it. */
export interface Packing {
  crypto: Crypto;
  market: MarketPins;
  history: MarketHistory;
}

const baseOf = ({ history: { keySets, epochs } }: Packing) => ({
  ...{ format: EVIDENCE_FORMAT, keySets, epochs: epochs.map(({ envelope }) => envelope) },
});

/** Two checkpoints, or one and an epoch's document; null where they do not contradict each other. */
export function packFork(packing: Packing, first: string, second: string | Envelope): EvidenceOf<"fork"> | null {
  const evidence: EvidenceOf<"fork"> = { ...baseOf(packing), format: EVIDENCE_FORMAT, kind: "fork", first, second };
  return forked(packing.crypto, evidence, [packing.market]) && evidence;
}

/** `grants`: the public documents that give a party's key its role. `place`: of the earlier one, where they are of two epochs. */
export function packContradiction(
  packing: Packing,
  [first, second]: readonly [Envelope, Envelope],
  grants: readonly Envelope[] = [],
  place: Place | null = null,
): EvidenceOf<"contradiction"> | null {
  const evidence: EvidenceOf<"contradiction"> = {
    ...{ ...baseOf(packing), format: EVIDENCE_FORMAT, kind: "contradiction" },
    ...{ first, second, grants: [...grants], place },
  };
  return contradicted(packing.crypto, evidence, [packing.market]) && evidence;
}

/** The promise as evidence against this log; null while it is kept, or cannot be shown broken yet. `leaves`: the bytes of them all. */
export function packBrokenPromise(
  packing: Packing,
  promise: EvidenceOf<"broken-promise">["promise"],
  checkpoint: string,
  leaves: readonly Uint8Array[],
  encode: (bytes: Uint8Array) => string,
): EvidenceOf<"broken-promise"> | null {
  const { crypto, market } = packing;
  const hashes = leaves.map((leaf) => toHex(leafHash(crypto, leaf)));
  for (const [index, leaf] of leaves.entries()) {
    if (hashes[index] === promise.leaf) return null;
    if (index === 0 || (acceptedAt(leaf) ?? 0) <= promise.mergeBy) continue;
    const evidence: EvidenceOf<"broken-promise"> = {
      ...{ ...baseOf(packing), format: EVIDENCE_FORMAT, kind: "broken-promise" },
      ...{ promise, checkpoint, leaves: hashes, later: { index, leaf: encode(leaf) } },
    };
    if (brokenPromise(crypto, evidence, [market])) return evidence;
  }
  return null;
}

/** What the epoch of this document lacks of a checkpoint; null where it lacks nothing. */
export function packLoss(packing: Packing, checkpoint: string, epoch: Envelope): EvidenceOf<"loss"> | null {
  const evidence: EvidenceOf<"loss"> = {
    ...{ ...baseOf(packing), format: EVIDENCE_FORMAT, kind: "loss" },
    ...{ checkpoint, epoch, witnesses: packing.history.witnesses },
  };
  return lost(packing.crypto, evidence, [packing.market]) && evidence;
}
