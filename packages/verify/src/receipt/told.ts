/**
 * A receipt as the story that its log tells: in the log's order, keys get their roles, and each of the lease's documents is verified
 * with what is known of its signer at that place and folded. A key says only what its grant allowed there: nothing before its grant,
 * nothing after its revocation. What is missing is a failure, never a default. Who controls the inputs: whoever signed each document,
 * and the broker for order and times.
 */
import { isFactKind, lastClaimOf, step, type Fact, type FactKind, type FactOf, type Finding, type Lease } from "@xenoservers/market";
import {
  KeyBook,
  ofAnyKind,
  parseDocumentOf,
  serverIdOf,
  verifySigner,
  type AnyVerified,
  type Crypto,
  type Kind,
  type KnownKey,
  type MarketPins,
  type SignedDocument,
} from "@xenoservers/protocol";
import { factOf, type FactResult, type FactWorld } from "../facts/facts.ts";
import { judgeDispute, type JudgedDispute } from "../judging/judged-dispute.ts";
import { judgeReview } from "../judging/judged-review.ts";
import { judgeVerdict, type JudgedVerdict } from "../judging/judged-verdict.ts";
import { Claims, Listing } from "./claims.ts";
import { Grants } from "./grants.ts";
import type { Rest } from "./line.ts";
import { CHECKS, CHECK_OF, type Check } from "./lines.ts";
import type { Entry } from "./opened.ts";

export interface Taken {
  fact: Fact;
  document: AnyVerified;
  /** Its place among all of the receipt's documents. */
  place: number;
  /** In the log; null: it is not there. */
  index: number | null;
}

/** Of a public document of the operator or the broker. */
interface Announced<K extends "fee" | "referee" | "audit-round" | "audit-reveal"> {
  document: SignedDocument<K>;
  place: number;
  index: number | null;
  at: number;
}

export class Told {
  readonly world: FactWorld;
  readonly #book: KeyBook;
  /** As the log leaves it: what has no place there may have been said after all of it. */
  readonly #last: KeyBook;
  readonly #grants = new Grants();
  /** As far as the documents fold. */
  lease: Lease | null = null;
  begun: { fact: FactOf<"purchase-order">; document: SignedDocument<"purchase-order">; place: number } | null = null;
  /** All that the fold took but for claims beyond the first. */
  readonly taken: Taken[] = [];
  readonly claims = new Claims();
  /** Its claims are not told. */
  isBrief = false;
  readonly #listing = new Listing();
  readonly fees: Announced<"fee">[] = [];
  readonly referees: Announced<"referee">[] = [];
  readonly auditRounds: Announced<"audit-round">[] = [];
  readonly auditReveals: Announced<"audit-reveal">[] = [];
  /** The order's own document, where the receipt has it. */
  readonly orders: Rest[] = [];
  /** The first public document that is not signed by whoever may say it. */
  wrongLeaf: string | null = null;
  /** The first document that the lease does not take. Nothing after it is folded. */
  broken: { check: Check; why: string } | null = null;
  /** Each dispute that was brought, in order; that the broker was told of one, its place in the log says. */
  readonly disputed: (JudgedDispute & { isLogged: boolean })[] = [];
  judged: JudgedVerdict | null = null;
  reviewed: { finding: Finding; why: string | null } | null = null;
  readonly #owners = new Map<string, string>();
  /** Gaps that were logged before the lease began. */
  readonly #gaps: FactOf<"gap">[] = [];

  constructor(crypto: Crypto, market: MarketPins, last: KeyBook) {
    this.#book = new KeyBook(crypto, market.origin);
    this.#last = last;
    // the book has learned only what the log has before: who was revoked there says nothing any more, whatever time the broker gives
    const spoken = (key: KnownKey | null): KnownKey | null => ended(key, key !== null && key.revokedAt !== null);
    this.world = { crypto, market, keyOf: (keyid) => spoken(this.#book.keyOf(keyid)) };
  }

  factsOf<K extends FactKind>(kind: K): FactOf<K>[] {
    return this.taken.flatMap(({ fact }) => (isFactOf(fact, kind) ? [fact] : []));
  }

  documentOf<K extends FactKind>(kind: K): Extract<AnyVerified, { kind: K }> | null {
    for (const { document } of this.taken) if (isVerifiedOf(document, kind)) return document;
    return null;
  }

  hear(entry: Entry, place: number): void {
    const { document, index } = entry;
    switch (document.kind) {
      case "party":
      case "key-grant":
      case "key-rotate":
      case "key-revoke":
        return this.#learn(entry);
      case "fee":
      case "referee":
      case "audit-round":
      case "audit-reveal":
        return this.#announced(entry, place);
      case "order":
        this.orders.push({ kind: document.kind, id: document.id, by: "customer", index, grant: false });
        return;
      default:
        if (!isFactKind(document.kind)) this.wrongLeaf ??= `nothing of a lease leans on a ${document.kind}`;
        else if (this.broken === null) this.#fold(entry, place);
        else this.#unheard(document.kind, this.broken);
    }
  }

  #learn(entry: Entry): void {
    const { document, at, index } = entry;
    const isEnded = index === null && this.#isEnded(document.keyid);
    if (isEnded || !this.#book.learnDocument(document, at)) {
      this.wrongLeaf ??= wrongLeaf(document.kind);
      return;
    }
    this.#grants.learn(entry, this.#book.keyOf(document.keyid)?.role ?? "recovery");
    if (document.kind === "key-grant" && document.payload.role === "server")
      this.#owners.set(serverIdOf(this.world.crypto, document.payload.key), document.payload.party);
  }

  #isEnded = (keyid: string): boolean => (this.#last.keyOf(keyid)?.revokedAt ?? null) !== null;

  /** What is known of the signers of a document: a key that was ended anywhere signs nothing that has no place in the log. */
  #worldOf(index: number | null): FactWorld {
    const { keyOf } = this.world;
    return index !== null ? this.world : { ...this.world, keyOf: (keyid) => ended(keyOf(keyid), this.#isEnded(keyid)) };
  }

  /** The documents that gave this key its role. */
  grantsOf = (key: string): Rest[] => this.#grants.of(key);

  #announced({ document, at, index }: Entry, place: number): void {
    const { crypto, market } = this.world;
    const verified = verifySigner(document, { crypto, market, key: null, at });
    if (!verified.ok) this.wrongLeaf ??= wrongLeaf(document.kind);
    else if (document.kind === "fee") this.fees.push({ document, place, index, at });
    else if (document.kind === "referee") this.referees.push({ document, place, index, at });
    else if (document.kind === "audit-round") this.auditRounds.push({ document, place, index, at });
    else if (document.kind === "audit-reveal") this.auditReveals.push({ document, place, index, at });
  }

  /** Whose server it is, by the grants of the receipt. */
  ownerOf(server: string): string | null {
    return this.#owners.get(server) ?? null;
  }

  /** What comes after the break is not folded: what it speaks of is not believed either. */
  #unheard(kind: FactKind, { check, why }: { check: Check; why: string }): void {
    const spoken = CHECK_OF[kind];
    if (CHECKS.indexOf(spoken) < CHECKS.indexOf(check))
      this.broken = { check: spoken, why: `a ${kind} comes after what the lease does not take: ${why}` };
  }

  #break(kind: Kind, why: string): void {
    this.broken = { check: isFactKind(kind) ? CHECK_OF[kind] : "use", why };
  }

  #fold({ document, at, index }: Entry, place: number): void {
    const world = this.#worldOf(index);
    const verified = verifySigner(document, { ...world, key: world.keyOf(document.keyid), at });
    const { kind } = document;
    if (!verified.ok) return this.#break(kind, `the ${kind} is not signed by a key that may say it here (${coded(verified.code)})`);
    const spoken = ofAnyKind(verified.document);
    const judged = spoken.kind === "verdict" ? judgeVerdict(world, spoken, this.lease, this.documentOf("result")) : null;
    this.judged = judged ?? this.judged;
    const reviewed =
      spoken.kind === "review" ? judgeReview(world, spoken, this.lease, this.documentOf("result"), this.documentOf("verdict")) : null;
    this.reviewed = reviewed ?? this.reviewed;
    const brought =
      spoken.kind === "dispute" ? judgeDispute(world, spoken, this.lease, this.documentOf("result"), this.documentOf("trace")) : null;
    if (brought) this.disputed.push({ ...brought, isLogged: index !== null });
    const found = brought ?? judged ?? reviewed;
    const read: FactResult | null = factOf(world, spoken, at, found ? { finding: found.finding } : {});
    if (read === null) return this.#break(kind, `the ${kind} is no fact of a lease`);
    if (!read.ok)
      return this.#break(kind, `what the ${kind} embeds is not rightly signed (${coded(read.code, inside(read.facts["inside"]))})`);
    this.#take({ fact: read.fact, document: spoken, place, index });
  }

  #take(heard: Taken): void {
    const { fact, document, place } = heard;
    if (fact.kind === "gap" && this.lease === null) return void this.#gaps.push(fact);
    if (fact.kind === "gap" && (this.lease?.state === "final" || this.lease?.state === "lapsed")) return;
    const next = step(this.isBrief ? asHandedOver(this.lease, fact) : this.lease, fact);
    const found = this.#foundOf(fact.kind);
    if (!next.ok) return this.#break(fact.kind, found?.why ?? next.why);
    this.lease = next.lease;
    this.claims.take(fact);
    if (this.#listing.lists(fact.kind, heard.index)) this.taken.push(heard);
    if (fact.kind === "purchase-order" && document.kind === "purchase-order") this.#begin(fact, document, place);
  }

  /** What the results come to that such a document, heard last, is about. */
  #foundOf(kind: FactKind): { why: string | null } | null {
    switch (kind) {
      case "verdict":
        return this.judged;
      case "review":
        return this.reviewed;
      case "dispute":
        return this.disputed.at(-1) ?? null;
      default:
        return null;
    }
  }

  #begin(fact: FactOf<"purchase-order">, document: SignedDocument<"purchase-order">, place: number): void {
    this.begun = { fact, document, place };
    for (const gap of this.#gaps) {
      const next = step(this.lease, gap);
      if (!next.ok) return this.#break("gap", next.why);
      this.lease = next.lease;
    }
  }

  /** What the operator said last of a referee before the verdict; null where the receipt has nothing of it. */
  namedReferee(referee: string): Announced<"referee"> | null {
    const at = this.taken.find(({ fact }) => fact.kind === "verdict")?.place ?? 0;
    return this.referees.findLast(({ document, place }) => document.payload.server === referee && place < at) ?? null;
  }

  /** The fee that the purchase order embeds, where it was announced before. */
  announcedFee(): Announced<"fee"> | null {
    const { begun } = this;
    const envelope = begun?.document.payload.fee ?? null;
    const embedded = envelope && parseDocumentOf(this.world.crypto, "fee", envelope);
    if (!begun || !embedded?.ok) return null;
    return this.fees.find(({ document, place }) => document.id === embedded.document.id && place < begun.place) ?? null;
  }
}

const ended = (key: KnownKey | null, isEnded: boolean): KnownKey | null => (key && isEnded ? { ...key, revokedAt: 0 } : key);
/** A refusal of a signer's key; one that is unknown may have lost its grant. */
const coded = (code: string, where = ""): string =>
  code === "unknown_key" ? `${code}${where}: no document here gives it a role` : `${code}${where}`;
const inside = (kind: unknown): string => (typeof kind === "string" ? ` in its ${kind}` : "");
const wrongLeaf = (kind: Kind): string => `the ${kind} among the leaves is not signed by a key that may say it there`;
const isFactOf = <K extends FactKind>(fact: Fact, kind: K): fact is Extract<Fact, FactOf<K>> => fact.kind === kind;
const isVerifiedOf = <K extends Kind>(document: AnyVerified, kind: K): document is Extract<AnyVerified, { kind: K }> =>
  document.kind === kind;

/** Of whom nothing is heard yet. `entries`, in the log's order, tell of keys; others tell nothing here. */
export function toldBy(crypto: Crypto, market: MarketPins, entries: readonly Entry[]): Told {
  const last = new KeyBook(crypto, market.origin);
  for (const { document, at } of entries) last.learnDocument(document, at);
  return new Told(crypto, market, last);
}

/** A lease whose claims were not told: the server that hands it over says which was its last. */
function asHandedOver(lease: Lease | null, { kind, content }: Fact): Lease | null {
  const takeover = kind === "takeover" ? content : kind === "move" ? content.takeover.payload : null;
  return lease && takeover ? { ...lease, lastClaim: { ...lastClaimOf(lease), id: takeover.handover.payload.lastClaim } } : lease;
}

/** `entries` are in the log's order. `isBrief`: without its claims. */
export function tell(crypto: Crypto, market: MarketPins, entries: readonly Entry[], isBrief = false): Told {
  const told = toldBy(crypto, market, entries);
  told.isBrief = isBrief;
  for (const [place, entry] of entries.entries()) told.hear(entry, place);
  return told;
}
