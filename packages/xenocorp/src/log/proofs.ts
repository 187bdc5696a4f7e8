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

/** Null when the leaf is not in a tree of this size. */
export async function inclusionProof(store: Store, crypto: Crypto, leaf: string, size: number): Promise<InclusionProof | null> {
  const index = await store.logIndexOf(leaf);
  if (index === null || index >= size) return null;
  return { index, size, proof: await foldAll(store, crypto, inclusionRefs(index, size)) };
}

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
