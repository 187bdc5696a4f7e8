/**
 * Which of its own offers a server is bound by. The broker may bind the last one that it took, and, where a purchase order was under way
 * meanwhile, the one before; what it has not answered yet it may have taken. An offer that has run out binds nobody.
 */
interface Signed {
  id: string;
  validUntil: number;
  taken: boolean;
}

const TAKEN_KEPT = 2;

export class OwnOffers {
  /** The newest last. */
  #signed: Signed[] = [];

  signed(id: string, validUntil: number): void {
    this.#signed.push({ id, validUntil, taken: false });
  }

  /** The broker took it: what it took before the one before is over. */
  taken(id: string): void {
    this.#signed = this.#signed.map((offer) => (offer.id === id ? { ...offer, taken: true } : offer));
    const oldest = this.#signed.filter(({ taken }) => taken).at(-TAKEN_KEPT);
    if (oldest) this.#signed = this.#signed.slice(this.#signed.indexOf(oldest));
  }

  refused(id: string): void {
    this.#signed = this.#signed.filter((offer) => offer.id !== id);
  }

  /** Those that a purchase order may embed at that time. */
  binding(now: number): string[] {
    this.#signed = this.#signed.filter(({ validUntil }) => validUntil >= now);
    return this.#signed.map(({ id }) => id);
  }
}
