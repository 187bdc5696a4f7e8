/**
 * Which of its own offers a server is bound by, by their numbers: the last that the broker took and, where a purchase order was under way
 * meanwhile, the one that it took before; what was signed later it may have taken too. A link that comes up brings purchase orders from
 * before it fell: until they are looked at, what bound then binds on, however many offers are taken meanwhile. A daemon that has just
 * started is bound by the last two of the one before. An offer that has run out binds nobody.
 */
import type { Payload } from "@xenoservers/protocol";

const OF_EARLIER_DAEMON = 2;

export class OwnOffers {
  /** The first that still binds; null while no number is known. */
  #floor: number | null = null;
  #taken: number | null = null;
  /** The first that this daemon signed. */
  #first: number | null = null;
  /** Links whose purchase orders from before they came up are still to be looked at. */
  #lookingBack = 0;

  /** What the daemon before signed last: a purchase order may come before this one has signed anything. */
  follows(last: number): void {
    this.#floor ??= last + 1 - OF_EARLIER_DAEMON;
  }

  signed(sequence: number): void {
    this.follows(sequence - 1);
    this.#first ??= sequence;
  }

  /** Whether this daemon signed it, knowing what its owner wanted then. */
  isOwn(sequence: number): boolean {
    return this.#first !== null && sequence >= this.#first;
  }

  taken(sequence: number): void {
    if (this.#taken !== null && sequence <= this.#taken) return;
    if (this.#lookingBack === 0) this.#floor = this.#taken ?? this.#floor;
    this.#taken = sequence;
  }

  /** Of a link that has come up: nothing stops binding until what comes from before has been looked at. */
  async lookBack(look: () => Promise<void>): Promise<void> {
    this.#lookingBack++;
    try {
      await look();
    } finally {
      this.#lookingBack--;
    }
  }

  /** Whether a purchase order may embed this offer, which this server signed, at that time. */
  binds({ sequence, validUntil }: Pick<Payload<"offer">, "sequence" | "validUntil">, now: number): boolean {
    return this.#floor !== null && sequence >= this.#floor && validUntil >= now;
  }
}
