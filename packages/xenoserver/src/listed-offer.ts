/**
 * The offer of this server as the market lists it: signed, renewed while it stands, withdrawn where the owner gives nothing. At most one
 * waits for its answer. Who controls the inputs: the broker (its answers, and what the market asks for).
 */
import { signDocument, toHex, type Envelope, type LogState } from "@xenoservers/protocol";
import { pinsOf, type LinkClient, type MarketInfo } from "@xenoservers/protocol/link";
import type { RunnerWorld } from "./lease/runner-world.ts";
import { offerOf, termsOf, type Listing, type MarketTerms } from "./listing.ts";
import { OwnOffers } from "./own-offers.ts";
import { samePins } from "./same-pins.ts";

const VALID_MS = 15 * 60_000;
const RENEW_MS = 5 * 60_000;
/** One that was refused is tried again sooner. */
const REFUSED_WAIT_MS = 15_000;

interface ListedOfferParts {
  /** The server's number. */
  server: string;
  world: Pick<RunnerWorld, "crypto" | "signer" | "owner" | "journal" | "channelKey" | "timers" | "log" | "pins" | "drivers">;
  link: Pick<LinkClient, "up" | "submit">;
  /** The market's own description, as it is now; null where it cannot be had. */
  market(): Promise<MarketInfo | null>;
  /** As the owner gives it now. */
  listing(): Listing;
  /** Whether it takes leases now. */
  isWanted(): boolean;
  clockIsRight(): boolean;
  /** What goes wrong in it is told to the owner. */
  apart(work: Promise<unknown>): void;
}

export class ListedOffer {
  readonly #parts: ListedOfferParts;
  /** Those that were signed. */
  readonly own = new OwnOffers();
  /** The one that stands; null where there is none. */
  current: Envelope | null = null;
  /** What the market asks for, as it was last heard. */
  terms: MarketTerms | null = null;
  /** Of the market's log. */
  seen: LogState | null = null;
  /** The one that waits for its answer, and whether another has to follow it. */
  #listing: Promise<void> | null = null;
  #hasChanged = false;
  /** The highest number of one that the broker says it has. */
  #sequenceKnown = 0;
  #cancelRenewal: () => void = () => {};
  #stopped = false;

  constructor(parts: ListedOfferParts) {
    this.#parts = parts;
  }

  /** What the market says of itself. */
  heard(market: MarketInfo): void {
    this.terms = termsOf(market, this.#parts.listing());
    this.seen = market.log;
  }

  /** Lists in the market's terms of now: what it has announced meanwhile is agreed to with the next offer. A link that comes up lists. */
  async renew(): Promise<void> {
    const { link, market: asked, world } = this.#parts;
    if (!link.up) return;
    const market = await asked().catch(() => null);
    if (market && samePins(pinsOf(market), world.pins())) this.heard(market);
    await this.list();
  }

  /** One at a time: while the broker has not answered, there is one offer that it may have taken, and not a queue of them. */
  list(): Promise<void> {
    this.#hasChanged = true;
    this.#listing ??= this.#listChanges().finally(() => (this.#listing = null));
    return this.#listing;
  }

  async #listChanges(): Promise<void> {
    while (this.#hasChanged) {
      this.#hasChanged = false;
      await this.#listOnce();
    }
  }

  #renewAfter(ms: number): void {
    const { world, apart } = this.#parts;
    this.#cancelRenewal();
    this.#cancelRenewal = world.timers.after(ms, () => apart(this.renew()));
  }

  async #listOnce(): Promise<void> {
    this.#cancelRenewal();
    if (this.#stopped || !this.terms) return;
    this.#renewAfter(RENEW_MS);
    const { world, link, server, listing, isWanted, clockIsRight } = this.#parts;
    const { crypto, signer, owner, journal, channelKey, timers, log } = world;
    const sequence = await journal.nextOfferSequence(this.#sequenceKnown);
    const own = { origin: world.pins().origin, seen: this.seen, owner, server, sequence };
    if (!isWanted()) {
      this.current = null;
      await link.submit(signDocument(crypto, signer, "offer-withdrawal", own).envelope);
      return;
    }
    // whoever sets the clock brings about another login
    if (!clockIsRight()) return;
    const of = { ...own, validUntil: timers.now() + VALID_MS, channelKey: toHex(channelKey.publicKey) };
    const offer = signDocument(crypto, signer, "offer", offerOf(listing(), world.drivers, this.terms, of));
    this.own.signed(sequence);
    const answer = await link.submit(offer.envelope);
    if (answer.ok) {
      this.own.taken(sequence);
      this.current = offer.envelope;
      return log("listed", { sequence });
    }
    // nobody is there to list it again
    if (this.#stopped) return;
    // a server whose journal is from a backup counts on from what the broker has seen
    const { known } = answer.facts;
    if (typeof known === "number") this.#sequenceKnown = Math.max(this.#sequenceKnown, known);
    this.#renewAfter(REFUSED_WAIT_MS);
    log("the offer was refused", { code: answer.code, ...answer.facts });
  }

  /** It stays as it stands, and is not renewed. */
  stop(): void {
    this.#stopped = true;
    this.#cancelRenewal();
  }
}
