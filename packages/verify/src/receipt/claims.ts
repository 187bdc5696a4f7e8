/**
 * Usage claims and the broker's receipts of them, of which a lease of a month has half a million: counted as they come, and none kept but
 * the first, which are listed. Invariant: of any number of them the same few values are held. Who controls the inputs: the server and the
 * broker; only what the fold has taken is handed in.
 */
import type { Fact, FactOf } from "@xenoservers/market";
import type { Kind } from "@xenoservers/protocol";

/** So many claims and receipts are listed under the lines that rest on them. */
const LISTED_MAX = 1_000;

const isClaim = (kind: Kind): boolean => kind === "claim" || kind === "claim-receipt";

/** Which documents are listed: all that are no claims, all that weaken what rests on them, and the first claims. */
export class Listing {
  #claims = 0;

  lists(kind: Kind, index: number | null): boolean {
    return !isClaim(kind) || index === null || this.#claims++ < LISTED_MAX;
  }
}

export class Claims {
  count = 0;
  /** The first sequence that another claim has overtaken before it had its receipt; null: none. */
  #overtaken: number | null = null;
  /** What waits for its receipt. */
  #open: FactOf<"claim"> | null = null;
  #usedMs = 0;
  #mostMs = 0;

  take(fact: Fact): void {
    if (fact.kind === "claim") {
      if (this.#open) this.#overtaken ??= this.#open.content.sequence;
      this.#open = fact;
      this.count++;
    } else if (fact.kind === "claim-receipt") {
      this.#open = null;
      this.#mostMs = this.mostMs(fact.content.usedMs);
      this.#usedMs = fact.content.usedMs;
    }
  }

  /** The sequence of the first claim that has no receipt; null: each has one. */
  get unreceipted(): number | null {
    return this.#overtaken ?? this.#open?.content.sequence ?? null;
  }

  /** The most ms of use between one receipted claim and the next, or the end, by when so much was used. */
  mostMs(usedMs: number): number {
    return Math.max(this.#mostMs, usedMs - this.#usedMs);
  }
}
