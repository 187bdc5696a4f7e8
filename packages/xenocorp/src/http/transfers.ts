/**
 * How many whole results are on their way through this broker's memory at once, in all and of one party. Who controls the inputs: a party
 * with a lease; whoever reads slowly keeps its place, and leaves the others theirs.
 */
const TRANSFERS_MAX = 32;
const TRANSFERS_PER_PARTY_MAX = 2;

export class Transfers {
  readonly #byParty = new Map<string, number>();
  #all = 0;

  /** Takes a place; what is returned gives it back. Null: there is none. */
  take(party: string): (() => void) | null {
    const own = this.#byParty.get(party) ?? 0;
    if (this.#all >= TRANSFERS_MAX || own >= TRANSFERS_PER_PARTY_MAX) return null;
    this.#all++;
    this.#byParty.set(party, own + 1);
    let taken = true;
    return () => {
      if (!taken) return;
      taken = false;
      this.#all--;
      const left = (this.#byParty.get(party) ?? 1) - 1;
      if (left === 0) this.#byParty.delete(party);
      else this.#byParty.set(party, left);
    };
  }
}
