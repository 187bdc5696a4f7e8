/**
 * The guest's randomness: xoshiro256** (Blackman, Vigna 2018) from a 32-byte seed, so that the same job draws the same bytes everywhere.
 */
export interface Random {
  fill(into: Uint8Array): void;
  /** Four 64-bit words: what the next bytes follow from. */
  state(): bigint[];
}

const u64 = (value: bigint): bigint => BigInt.asUintN(64, value);
const rotate = (x: bigint, k: bigint): bigint => u64((x << k) | (x >> (64n - k)));

export function seededRandom(seed: Uint8Array): Random {
  const view = new DataView(seed.buffer, seed.byteOffset, 32);
  const words = [0, 8, 16, 24].map((at) => view.getBigUint64(at, true));
  return randomAt(words.every((word) => word === 0n) ? [1n, 0n, 0n, 0n] : words);
}

/** Goes on where `state` said. */
export function randomAt(state: readonly bigint[]): Random {
  const s = [...state] as [bigint, bigint, bigint, bigint];
  const next = (): bigint => {
    const result = u64(rotate(u64(s[1] * 5n), 7n) * 9n);
    const t = u64(s[1] << 17n);
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = rotate(s[3], 45n);
    return result;
  };
  return {
    state: () => [...s],
    fill(into) {
      for (let at = 0; at < into.length; at += 8) {
        let word = next();
        for (let i = at; i < Math.min(at + 8, into.length); i++) {
          into[i] = Number(word & 255n);
          word >>= 8n;
        }
      }
    },
  };
}
