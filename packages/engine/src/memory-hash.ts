/** The hash of a guest's linear memory at its end: a list of page hashes, hashed. Untouched pages are recognised, not hashed. */

export const PAGE_BYTES = 65_536;
const HASH_BYTES = 32;

export type Sha256 = (bytes: Uint8Array) => Uint8Array;

function isZero(page: Uint8Array): boolean {
  const words = new BigUint64Array(page.buffer, page.byteOffset, page.length / 8);
  for (let i = 0; i < words.length; i++) if (words[i] !== 0n) return false;
  return true;
}

/** SHA-256 over the concatenated SHA-256 of each 64 KiB page. */
export function memoryHash(memory: Uint8Array, sha256: Sha256): Uint8Array {
  const pages = memory.length / PAGE_BYTES;
  const hashes = new Uint8Array(pages * HASH_BYTES);
  const zero = sha256(new Uint8Array(PAGE_BYTES));
  for (let i = 0; i < pages; i++) {
    const page = memory.subarray(i * PAGE_BYTES, (i + 1) * PAGE_BYTES);
    hashes.set(isZero(page) ? zero : sha256(page), i * HASH_BYTES);
  }
  return sha256(hashes);
}
