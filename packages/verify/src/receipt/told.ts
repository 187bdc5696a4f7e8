/**
 * A receipt as the story that its log tells: in the log's order, keys get their roles, and each of the lease's documents is verified
 * with what is known of its signer at that place and folded. A key says only what its grant allowed there: nothing before its grant,
 * nothing after its revocation. What is missing is a failure, never a default. Who controls the inputs: whoever signed each document,
 * and the broker for order and times.
 */
import { isFactKind, step, type Fact, type FactKind, type FactOf, type Finding, type Lease } from "@xenoservers/market";
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
import { judgeReview } from "../judging/judged-review.ts";
import { judgeVerdict, type JudgedVerdict } from "../judging/judged-verdict.ts";
import type { Entry } from "./opened.ts";

/** The lines of a verification that rest on the fold, in order; each rests on those before it. */
export const CHECKS = ["purchase order", "opening", "use", "result", "bill", "dispute", "verdict"] as const;
export type Check = (typeof CHECKS)[number];

/** Where each kind of fact is spoken of. */
const CHECK_OF: Readonly<Record<FactKind, Check>> = {
  ...{ "purchase-order": "purchase order", acceptance: "opening", opening: "opening" },
  ...{ claim: "use", "claim-receipt": "use", stop: "use", extension: "use", amendment: "use", gap: "use" },
  ...{ commitment: "result", reveal: "result", result: "result", delivery: "result" },
  ...{ closing: "bill", settlement: "bill", objection: "dispute", ruling: "dispute" },
  ...{ "trace-request": "dispute", trace: "dispute", dispute: "dispute", draw: "dispute" },
  ...{ verdict: "verdict", appeal: "verdict", review: "verdict" },
};

export interface Taken {
  fact: Fact;
  document: AnyVerified;
  /** Its place among all of the receipt's documents. */
  place: number;
}

/** Of a public document of the operator. */
interface Announced<K extends "fee" | "referee"> {
  document: SignedDocument<K>;
  place: number;
  at: number;
  isLogged: boolean;
}

export class Told {
  readonly #world: FactWorld;
  readonly #book: KeyBook;
  /** As far as the documents fold. */
  lease: Lease | null = null;
  begun: { fact: FactOf<"purchase-order">; document: SignedDocument<"purchase-order">; place: number } | null = null;
  readonly taken: Taken[] = [];
  readonly fees: Announced<"fee">[] = [];
  readonly referees: Announced<"referee">[] = [];
  /** The order's own document, where the receipt has it. */
  readonly orders: string[] = [];
  /** The first public document that is not signed by whoever may say it. */
  wrongLeaf: string | null = null;
  /** The first document that the lease does not take. Nothing after it is folded. */
  broken: { check: Check; why: string } | null = null;
  judged: JudgedVerdict | null = null;
  reviewed: { finding: Finding; why: string | null } | null = null;
  readonly #owners = new Map<string, string>();
  /** Gaps that were logged before the lease began. */
  readonly #gaps: FactOf<"gap">[] = [];

  constructor(crypto: Crypto, market: MarketPins) {
    this.#book = new KeyBook(crypto, market.origin);
    // the book has learned only what the log has before: who was revoked there says nothing any more, whatever time the broker gives
    const spoken = (key: KnownKey | null): KnownKey | null => (key && key.revokedAt !== null ? { ...key, revokedAt: 0 } : key);
    this.#world = { crypto, market, keyOf: (keyid) => spoken(this.#book.keyOf(keyid)) };
  }

  get world(): FactWorld {
    return this.#world;
  }

  factsOf<K extends FactKind>(kind: K): FactOf<K>[] {
    return this.taken.flatMap(({ fact }) => (isFactOf(fact, kind) ? [fact] : []));
  }

  documentOf<K extends FactKind>(kind: K): Extract<AnyVerified, { kind: K }> | null {
    for (const { document } of this.taken) if (isVerifiedOf(document, kind)) return document;
    return null;
  }

  hear(entry: Entry, place: number): void {
    const { document, at } = entry;
    switch (document.kind) {
      case "party":
      case "key-grant":
      case "key-rotate":
      case "key-revoke":
        if (!this.#book.learnDocument(document, at)) this.wrongLeaf ??= wrongLeaf(document.kind);
        else if (document.kind === "key-grant" && document.payload.role === "server")
          this.#owners.set(serverIdOf(this.#world.crypto, document.payload.key), document.payload.party);
        return;
      case "fee":
      case "referee":
        return this.#announced(entry, place);
      case "order":
        this.orders.push(document.id);
        return;
      default:
        if (!isFactKind(document.kind)) this.wrongLeaf ??= `nothing of a lease leans on a ${document.kind}`;
        else if (this.broken === null) this.#fold(entry, place);
        else this.#unheard(document.kind, this.broken);
    }
  }

  #announced({ document, at, index }: Entry, place: number): void {
    const { crypto, market } = this.#world;
    const verified = verifySigner(document, { crypto, market, key: null, at });
    if (!verified.ok) this.wrongLeaf ??= wrongLeaf(document.kind);
    else if (document.kind === "fee") this.fees.push({ document, place, at, isLogged: index !== null });
    else if (document.kind === "referee") this.referees.push({ document, place, at, isLogged: index !== null });
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

  #fold({ document, at }: Entry, place: number): void {
    const { crypto, market, keyOf } = this.#world;
    const verified = verifySigner(document, { crypto, market, key: keyOf(document.keyid), at });
    const { kind } = document;
    if (!verified.ok) return this.#break(kind, `the ${kind} is not signed by a key that may say it here (${verified.code})`);
    const spoken = ofAnyKind(verified.document);
    const judged = spoken.kind === "verdict" ? judgeVerdict(this.#world, spoken, this.lease, this.documentOf("result")) : null;
    this.judged = judged ?? this.judged;
    const reviewed =
      spoken.kind === "review" ? judgeReview(this.#world, spoken, this.lease, this.documentOf("result"), this.documentOf("verdict")) : null;
    this.reviewed = reviewed ?? this.reviewed;
    const found = judged ?? reviewed;
    const read: FactResult | null = factOf(this.#world, spoken, at, found ? { finding: found.finding } : {});
    if (read === null) return this.#break(kind, `the ${kind} is no fact of a lease`);
    if (!read.ok) return this.#break(kind, `what the ${kind} embeds is not rightly signed (${read.code}${inside(read.facts["inside"])})`);
    this.#take(read.fact, spoken, place);
  }

  #take(fact: Fact, document: AnyVerified, place: number): void {
    if (fact.kind === "gap" && this.lease === null) return void this.#gaps.push(fact);
    if (fact.kind === "gap" && (this.lease?.state === "final" || this.lease?.state === "lapsed")) return;
    const next = step(this.lease, fact);
    const found = fact.kind === "verdict" ? this.judged : fact.kind === "review" ? this.reviewed : null;
    if (!next.ok) return this.#break(fact.kind, found?.why ?? next.why);
    this.lease = next.lease;
    this.taken.push({ fact, document, place });
    if (fact.kind === "purchase-order" && document.kind === "purchase-order") this.#begin(fact, document, place);
  }

  #begin(fact: FactOf<"purchase-order">, document: SignedDocument<"purchase-order">, place: number): void {
    this.begun = { fact, document, place };
    for (const gap of this.#gaps) {
      const next = step(this.lease, gap);
      if (!next.ok) return this.#break("gap", next.why);
      this.lease = next.lease;
    }
  }

  /** The fee that the purchase order embeds, where it was announced before. */
  announcedFee(): Announced<"fee"> | null {
    const { begun } = this;
    const envelope = begun?.document.payload.fee ?? null;
    const embedded = envelope && parseDocumentOf(this.#world.crypto, "fee", envelope);
    if (!begun || !embedded?.ok) return null;
    return this.fees.find(({ document, place }) => document.id === embedded.document.id && place < begun.place) ?? null;
  }
}

const inside = (kind: unknown): string => (typeof kind === "string" ? ` in its ${kind}` : "");
const wrongLeaf = (kind: Kind): string => `the ${kind} among the leaves is not signed by a key that may say it there`;
const isFactOf = <K extends FactKind>(fact: Fact, kind: K): fact is Extract<Fact, FactOf<K>> => fact.kind === kind;
const isVerifiedOf = <K extends Kind>(document: AnyVerified, kind: K): document is Extract<AnyVerified, { kind: K }> =>
  document.kind === kind;

/** `entries` are in the log's order. */
export function tell(crypto: Crypto, market: MarketPins, entries: readonly Entry[]): Told {
  const told = new Told(crypto, market);
  for (const [place, entry] of entries.entries()) told.hear(entry, place);
  return told;
}
