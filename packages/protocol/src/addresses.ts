/**
 * Where a market is reached: one address, or those of several of its brokers with commas between them. Whoever speaks with it stays with
 * one that answers and goes on to the next where none does. Who controls the inputs: whoever names the market to its own program.
 */
import * as z from "zod/mini";

const SEPARATOR = ",";
const ADDRESSES_MAX = 16;

const zUrl = z.url({ protocol: /^https?$/ });
const addressesIn = (text: string): string[] => text.split(SEPARATOR).map((each) => each.trim());

export const zAddresses = z.string().check(
  z.refine((text) => {
    const all = addressesIn(text);
    return all.length <= ADDRESSES_MAX && all.every((each) => zUrl.safeParse(each).success);
  }, `must be an http or https address, or up to ${ADDRESSES_MAX} of one market with commas between them`),
);

export class Addresses {
  readonly #all: readonly [string, ...string[]];
  #current = 0;

  constructor(text: string) {
    const [first = "", ...others] = addressesIn(text);
    this.#all = [first, ...others];
  }

  get #address(): string {
    return this.#all[this.#current] ?? this.#all[0];
  }

  /** Asks the one that answered last, then each of the others in turn; throws what the last of them threw. */
  async first<T>(ask: (address: string) => Promise<T>): Promise<T> {
    for (let tries = 1; ; tries++) {
      const address = this.#address;
      try {
        return await ask(address);
      } catch (error) {
        if (this.#address === address) this.#current = (this.#current + 1) % this.#all.length;
        if (tries >= this.#all.length) throw error;
      }
    }
  }
}
