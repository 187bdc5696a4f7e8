/** Bytes of no structure, or of one that is found by chance: flipped, cut, copied, crossed with another input, numbers made extreme. */
import type { Random } from "../../../packages/testkit/src/random.ts";

const EXTREMES = [
  [0xff],
  [0x00],
  [0x80],
  [0x7f],
  [0xff, 0xff],
  [0x7f, 0xff],
  [0xff, 0xff, 0xff, 0xff],
  [0x7f, 0xff, 0xff, 0xff],
  [0x80, 0, 0, 0],
  [0, 0, 0, 0],
  [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
  [0, 0, 0, 0, 0, 0, 0, 0],
  [0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
] as const;

const joined = (...parts: readonly (Uint8Array | readonly number[])[]): Uint8Array =>
  new Uint8Array(Buffer.concat(parts.map((part) => Uint8Array.from(part))));

export function bentOnce(input: Uint8Array, random: Random, others: readonly Uint8Array[]): Uint8Array {
  if (input.length === 0) return random.bytes(random.between(1, 16));
  const at = random.between(0, input.length - 1);
  const end = Math.min(input.length, at + random.between(1, random.chance(0.2) ? input.length : 16));
  switch (random.between(0, 8)) {
    case 0:
      input[at] = random.between(0, 255);
      return input;
    case 1:
      input[at] = (input[at] ?? 0) ^ (1 << random.between(0, 7));
      return input;
    case 2:
      return input.subarray(0, at);
    case 3:
      return joined(input.subarray(0, at), input.subarray(end));
    case 4:
      return joined(input.subarray(0, end), input.subarray(at, end), input.subarray(end));
    case 5:
      return joined(input.subarray(0, at), random.bytes(random.between(1, 12)), input.subarray(at));
    case 6: {
      const extreme = random.pick(EXTREMES).slice(0, input.length - at);
      input.set(random.chance(0.5) ? extreme : [...extreme].reverse(), at);
      return input;
    }
    case 7: {
      const other = random.pick(others);
      const from = random.between(0, Math.max(0, other.length - 1));
      return joined(input.subarray(0, at), other.subarray(from, from + random.between(1, 4_096)), input.subarray(end));
    }
    default:
      return input.copyWithin(at, random.between(0, input.length - 1), random.between(0, input.length));
  }
}

export function bentBytes(input: Uint8Array, random: Random, others: readonly Uint8Array[]): Uint8Array {
  let bent = input;
  for (let left = random.between(1, 4); left > 0; left--) bent = bentOnce(bent, random, others);
  return bent.slice();
}
