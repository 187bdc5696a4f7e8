/** A small log, built anew for every receipt: root and proofs of any list of leaves (RFC 6962), by its definition. */
import { nodeHash, toHex, type Crypto } from "@xenoservers/protocol";

export interface SmallLog {
  size: number;
  root: string;
  proofOf(index: number): string[];
}

/** The largest power of two below `n`. */
function split(n: number): number {
  let k = 1;
  while (2 * k < n) k *= 2;
  return k;
}

export function smallLog(crypto: Crypto, leaves: readonly Uint8Array[]): SmallLog {
  const known = new Map<string, Uint8Array>();
  const hash = (start: number, end: number): Uint8Array => {
    const leaf = leaves[start];
    if (end - start === 1 && leaf) return leaf;
    const name = `${start}-${end}`;
    const before = known.get(name);
    if (before) return before;
    const middle = start + split(end - start);
    const made = nodeHash(crypto, hash(start, middle), hash(middle, end));
    known.set(name, made);
    return made;
  };
  const proof = (index: number, start: number, end: number): string[] => {
    if (end - start === 1) return [];
    const middle = start + split(end - start);
    return index < middle
      ? [...proof(index, start, middle), toHex(hash(middle, end))]
      : [...proof(index, middle, end), toHex(hash(start, middle))];
  };
  const size = leaves.length;
  return { size, root: toHex(size === 0 ? crypto.sha256(new Uint8Array()) : hash(0, size)), proofOf: (index) => proof(index, 0, size) };
}
