/** Seeded chance (mulberry32): every run of a seed makes the same choices. */
export class Rng {
  #state: number;

  constructor(seed: number) {
    this.#state = seed >>> 0;
  }

  fraction(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let t = this.#state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296;
  }

  /** An integer in [0, end). */
  below(end: number): number {
    return Math.floor(this.fraction() * end);
  }

  /** An integer in [low, high]. */
  between(low: number, high: number): number {
    return low + this.below(high - low + 1);
  }

  chance(probability: number): boolean {
    return this.fraction() < probability;
  }

  pick<T>(from: readonly T[]): T {
    const [first] = from;
    const picked = from[this.below(from.length)] ?? first;
    if (picked === undefined) throw new Error("nothing to pick from");
    return picked;
  }

  /** `bytes` bytes of hex. */
  hex(bytes: number): string {
    let text = "";
    while (text.length < 2 * bytes) text += this.below(256).toString(16).padStart(2, "0");
    return text;
  }
}
