/**
 * The log's Merkle tree (RFC 6962 section 2). Complete subtrees are addressed by (level, index): level 0 are leaf hashes. Proofs are
 * built from such nodes only, so any store of immutable nodes will do. Who controls the inputs of verify…: the broker.
 */
import { concatBytes, equalBytes } from "./bytes.ts";
import type { Crypto } from "./crypto.ts";

export interface NodeRef {
  level: number;
  index: number;
}

const LEAF = new Uint8Array([0]);
const NODE = new Uint8Array([1]);

export const leafHash = (crypto: Crypto, leaf: Uint8Array): Uint8Array => crypto.sha256(concatBytes(LEAF, leaf));
export const nodeHash = (crypto: Crypto, left: Uint8Array, right: Uint8Array): Uint8Array => crypto.sha256(concatBytes(NODE, left, right));

/** The complete subtrees that cover leaves [start, end), left to right; start must be aligned to the cover. */
function cover(start: number, end: number): NodeRef[] {
  const refs: NodeRef[] = [];
  let at = start;
  while (at < end) {
    let level = 0;
    while (at % 2 ** (level + 1) === 0 && at + 2 ** (level + 1) <= end) level++;
    refs.push({ level, index: at / 2 ** level });
    at += 2 ** level;
  }
  return refs;
}

/** Folds a cover into one hash, right to left, as RFC 6962 splits. */
function fold(crypto: Crypto, hashes: readonly Uint8Array[]): Uint8Array {
  return hashes.reduceRight((right, left) => nodeHash(crypto, left, right));
}

/** Largest power of two smaller than n. */
function split(n: number): number {
  let k = 1;
  while (k * 2 < n) k *= 2;
  return k;
}

export const rootRefs = (size: number): NodeRef[] => cover(0, size);

export function rootFrom(crypto: Crypto, size: number, nodes: readonly Uint8Array[]): Uint8Array {
  return size === 0 ? crypto.sha256(new Uint8Array()) : fold(crypto, nodes);
}

/** The root of a tree from the hashes of all its leaves (RFC 6962, section 2.1). */
export function rootOfLeaves(crypto: Crypto, leaves: readonly Uint8Array[]): Uint8Array {
  let level = leaves;
  while (level.length > 1) level = levelAbove(crypto, level);
  const [root] = level;
  return root ?? crypto.sha256(new Uint8Array());
}

/** Each pair's hash; one that is left over stands for itself. */
function levelAbove(crypto: Crypto, level: readonly Uint8Array[]): Uint8Array[] {
  const above: Uint8Array[] = [];
  let left: Uint8Array | null = null;
  for (const hash of level) {
    if (left) above.push(nodeHash(crypto, left, hash));
    left = left ? null : hash;
  }
  if (left) above.push(left);
  return above;
}

/** Each proof hash is the fold of one group of nodes. */
export function inclusionRefs(index: number, size: number): NodeRef[][] {
  const groups: NodeRef[][] = [];
  const walk = (start: number, end: number): void => {
    if (end - start === 1) return;
    const middle = start + split(end - start);
    if (index < middle) {
      walk(start, middle);
      groups.push(cover(middle, end));
    } else {
      walk(middle, end);
      groups.push(cover(start, middle));
    }
  };
  walk(0, size);
  return groups;
}

export function consistencyRefs(oldSize: number, size: number): NodeRef[][] {
  const groups: NodeRef[][] = [];
  const walk = (start: number, end: number, old: number, whole: boolean): void => {
    if (old === end) {
      if (!whole) groups.push(cover(start, end));
      return;
    }
    const middle = start + split(end - start);
    if (old <= middle) {
      walk(start, middle, old, whole);
      groups.push(cover(middle, end));
    } else {
      walk(middle, end, old, false);
      groups.push(cover(start, middle));
    }
  };
  if (oldSize > 0 && oldSize < size) walk(0, size, oldSize, true);
  return groups;
}

export const foldGroup = fold;

/** RFC 9162 section 2.1.3.2. */
export function verifyInclusion(
  crypto: Crypto,
  leaf: Uint8Array,
  index: number,
  size: number,
  proof: readonly Uint8Array[],
  root: Uint8Array,
): boolean {
  if (!Number.isSafeInteger(index) || index < 0 || index >= size) return false;
  let fn = index;
  let sn = size - 1;
  let hash = leaf;
  for (const sibling of proof) {
    if (sn === 0) return false;
    if (fn % 2 === 1 || fn === sn) {
      hash = nodeHash(crypto, sibling, hash);
      while (fn % 2 === 0 && fn !== 0) {
        fn = Math.floor(fn / 2);
        sn = Math.floor(sn / 2);
      }
    } else hash = nodeHash(crypto, hash, sibling);
    fn = Math.floor(fn / 2);
    sn = Math.floor(sn / 2);
  }
  return sn === 0 && equalBytes(hash, root);
}

/** RFC 9162 section 2.1.4.2. */
export function verifyConsistency(
  crypto: Crypto,
  oldSize: number,
  oldRoot: Uint8Array,
  size: number,
  root: Uint8Array,
  proof: readonly Uint8Array[],
): boolean {
  if (oldSize > size || oldSize < 0) return false;
  if (oldSize === size) return proof.length === 0 && equalBytes(oldRoot, root);
  if (oldSize === 0) return proof.length === 0;
  const [first, ...path] = Number.isInteger(Math.log2(oldSize)) ? [oldRoot, ...proof] : proof;
  if (!first) return false;
  let fn = oldSize - 1;
  let sn = size - 1;
  while (fn % 2 === 1) {
    fn = Math.floor(fn / 2);
    sn = Math.floor(sn / 2);
  }
  let fr = first;
  let sr = first;
  for (const hash of path) {
    if (sn === 0) return false;
    if (fn % 2 === 1 || fn === sn) {
      fr = nodeHash(crypto, hash, fr);
      sr = nodeHash(crypto, hash, sr);
      while (fn % 2 === 0 && fn !== 0) {
        fn = Math.floor(fn / 2);
        sn = Math.floor(sn / 2);
      }
    } else sr = nodeHash(crypto, sr, hash);
    fn = Math.floor(fn / 2);
    sn = Math.floor(sn / 2);
  }
  return sn === 0 && equalBytes(fr, oldRoot) && equalBytes(sr, root);
}
