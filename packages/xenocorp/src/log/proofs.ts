/** Proofs for parties and tiles for everyone, read from the log's immutable nodes. Tiles: C2SP tlog-tiles, height 8. */
import { invariant } from "@xenoservers/market";
import { concatBytes, consistencyRefs, foldGroup, fromHex, inclusionRefs, toHex, type Crypto, type NodeRef } from "@xenoservers/protocol";
import type { Store } from "../store/store.ts";

const TILE_HEIGHT = 8;
const TILE_WIDTH = 2 ** TILE_HEIGHT;

/** Of a hash that stands in the log. */
export function bytesOf(hash: string): Uint8Array {
  const bytes = fromHex(hash);
  invariant(bytes !== null, "a node of the log is a hash");
  return bytes;
}

async function foldAll(store: Store, crypto: Crypto, groups: readonly NodeRef[][], epoch?: number): Promise<string[]> {
  const hashes = await store.logNodes(groups.flat(), epoch);
  let at = 0;
  return groups.map((group) => {
    const own = hashes.slice(at, (at += group.length));
    return toHex(foldGroup(crypto, own.map(bytesOf)));
  });
}

interface InclusionProof {
  index: number;
  size: number;
  proof: string[];
}

/** Of each leaf that is in a tree of this size, however many in two questions to the store. */
export async function inclusionProofs(
  store: Store,
  crypto: Crypto,
  leaves: readonly string[],
  size: number,
): Promise<ReadonlyMap<string, InclusionProof>> {
  const found = [...(await store.logIndexesOf(leaves))].filter(([, index]) => index < size);
  const groups = found.map(([, index]) => inclusionRefs(index, size));
  const folded = await foldAll(store, crypto, groups.flat());
  let at = 0;
  return new Map(found.map(([leaf, index], i) => [leaf, { index, size, proof: folded.slice(at, (at += groups[i]!.length)) }]));
}

/** Null when the leaf is not in a tree of this size. */
export const inclusionProof = async (store: Store, crypto: Crypto, leaf: string, size: number): Promise<InclusionProof | null> =>
  (await inclusionProofs(store, crypto, [leaf], size)).get(leaf) ?? null;

/** In the latest epoch, or in an earlier one. */
export function consistencyProof(store: Store, crypto: Crypto, from: number, to: number, epoch?: number): Promise<string[]> {
  return foldAll(store, crypto, consistencyRefs(from, to), epoch);
}

/** The hashes of one tile; null where the tree does not reach so far. `width` < 256 asks for a partial tile. */
export async function tile(store: Store, level: number, index: number, width: number, size: number): Promise<Uint8Array | null> {
  const covered = Math.floor(size / TILE_WIDTH ** level);
  const from = index * TILE_WIDTH;
  if (width < 1 || width > TILE_WIDTH || from + width > covered) return null;
  const refs = Array.from({ length: width }, (_, i) => ({ level: level * TILE_HEIGHT, index: from + i }));
  return concatBytes(...(await store.logNodes(refs)).map(bytesOf));
}
