/**
 * A broker for this package's tests, made of market, protocol and verify alone: it folds what it is handed, signs what follows, and can be
 * told to say anything else, with its own keys. It keeps everything in memory.
 */
import {
  NOT_AUDITED,
  auditPpmOf,
  closingReason,
  endOf,
  invariant,
  isDrawnFor,
  movedBy,
  quoteOn,
  stakeToLockNanos,
  step,
  type Lease,
  type LeaseTimings,
} from "@xenoservers/market";
import {
  KIND_TABLE,
  ofAnyKind,
  parseDocument,
  refuse,
  rootAccountOf,
  sealedDigestOf,
  toHex,
  verifyDocument,
  type AnyDocument,
  type Envelope,
  type Kind,
  type LogPage,
  type SignedDocument,
  type Verified,
} from "@xenoservers/protocol";
import { type LinkAnswer, type MarketInfo, type Timers } from "@xenoservers/protocol/link";
import { nodeCrypto } from "@xenoservers/protocol/node";
import { factOf } from "@xenoservers/verify";
import { FakeLink, type Filed } from "./fake-link.ts";
import type { FakeParty, Said } from "./fake-parties.ts";

const crypto = nodeCrypto;
export const TIMINGS: LeaseTimings = {
  ...{ acceptWithinMs: 5_000, startWithinMs: 20_000, claimIntervalMs: 10_000, graceMs: 30_000, deliverWithinMs: 60_000 },
  ...{ disputeWindowMs: 600_000, ruleWithinMs: 86_400_000 },
};
/** What the fold refuses with, as a broker says it. */
const KNOWN_REFUSALS = ["too_early", "claim_out_of_order", "claim_chain_broken"] as const;
const LOG = { epoch: "e0".repeat(16), size: 0, root: "00".repeat(32) };

export class FakeMarket extends FakeLink {
  /** Everything that the server handed in, in order. */
  readonly received: AnyDocument[] = [];
  readonly leases = new Map<string, Lease>();
  readonly log = new Map<string, Filed[]>();
  readonly sealed = new Map<string, Uint8Array[]>();
  info: MarketInfo;
  /** Says something else than an honest broker would; null: what it would. */
  instead: (document: AnyDocument) => LinkAnswer | null = () => null;
  /** What `instead` says where the answer comes later, or never. */
  readonly LATER: LinkAnswer = refuse("internal", { why: "later" });
  /** Documents are pushed as they are filed; a broker that says nothing lets its server find out. */
  pushes = true;
  readonly #gaps: Filed[] = [];
  readonly #answers = new Map<string, LinkAnswer>();
  #offer: SignedDocument<"offer"> | null = null;
  #made = 0;

  constructor(timers: Timers) {
    super(timers);
    this.info = {
      ...{ ...this.pins, currency: "test", log: LOG, feeBasisPoints: 0, announcedFee: null, referees: [], witnesses: [] },
      ...{ mergeDelayMs: 1_000, timings: TIMINGS, protocol: { min: 1, max: 1 }, now: timers.now() },
    };
  }

  // --- the desk -------------------------------------------------------------------------------------------------------------------

  /** Signs as the broker, folds and files; the fold's refusal is this test's own mistake. */
  issue<K extends Kind>(kind: K, said: Said<K>, at = this.timers.now()): Verified<K> {
    const [rule] = KIND_TABLE[kind].signers;
    const signer = rule?.by === "broker" && rule.key === "orders" ? this.keys.purchaseOrders : this.keys.receipts;
    return this.file(this.sign(signer, kind, said), at);
  }

  /** Folds and files what somebody signed. */
  file<K extends Kind>(document: SignedDocument<K>, at = this.timers.now()): Verified<K> {
    const verified = this.#verified(document, at);
    const refusal = this.#fold(verified, at);
    invariant(refusal === null, `${document.kind}: ${refusal}`);
    return verified;
  }

  #verified<K extends Kind>(document: SignedDocument<K>, at: number): Verified<K> {
    const read = verifyDocument(document.envelope, { ...this.world, at });
    invariant(read.ok, `${document.kind} is not rightly signed: ${read.ok ? "" : read.code}`);
    return { ...read.document, ...document, signer: read.document.signer } as Verified<K>;
  }

  #fold(document: Verified, at: number): string | null {
    const read = factOf(this.world, ofAnyKind(document), at);
    if (!read?.ok) return "no fact";
    const { fact } = read;
    const id = fact.kind === "purchase-order" ? fact.id : "lease" in fact.content ? fact.content.lease : "";
    const next = step(this.leases.get(id) ?? null, fact);
    if (!next.ok) return `${next.code} ${next.why}`;
    this.leases.set(id, next.lease);
    const filed = { envelope: document.envelope, at };
    this.log.set(id, [...(this.log.get(id) ?? []), filed]);
    if (this.pushes && KIND_TABLE[document.kind].to.includes("server")) this.push([filed]);
    return null;
  }

  /** A time in which this broker did not hear, for one of its leases. */
  fileGap(id: string, gap: SignedDocument<"gap">): void {
    const at = this.timers.now();
    const read = factOf(this.world, ofAnyKind(this.#verified<Kind>(gap, at)), at);
    invariant(read?.ok, "a gap is a fact");
    const next = step(this.lease(id), read.fact);
    invariant(next.ok, "a gap in the past is taken");
    this.leases.set(id, next.lease);
    this.#gaps.push({ envelope: gap.envelope, at });
    if (this.pushes) this.push([{ envelope: gap.envelope, at }]);
  }

  lease(id: string): Lease {
    const lease = this.leases.get(id);
    invariant(lease, "there is such a lease");
    return lease;
  }

  /** The same document again gets the same answer. */
  submit(envelope: unknown, delivery?: unknown): LinkAnswer {
    const parsed = parseDocument(crypto, envelope);
    invariant(parsed.ok, `the server handed in nonsense: ${parsed.ok ? "" : JSON.stringify(parsed)}`);
    const { document } = parsed;
    this.received.push(document);
    const instead = this.instead(document);
    const known = instead ?? this.#answers.get(document.id);
    if (known) return known;
    const answer = this.#decide(document, delivery);
    if (answer.ok) this.#answers.set(document.id, answer);
    return answer;
  }

  /** Purchase orders embed this one from now on. */
  bind(offer: SignedDocument<"offer">): void {
    this.#offer = offer;
  }

  #decide(document: AnyDocument, delivery: unknown): LinkAnswer {
    const at = this.timers.now();
    if (document.kind === "offer") this.bind(document);
    if (!("lease" in document.payload)) return { ok: true, answer: { id: document.id, at } };
    const lease = this.lease(document.payload.lease);
    const refusal = this.#fold(this.#verified<Kind>(document, at), at);
    if (refusal !== null) return refuse(KNOWN_REFUSALS.find((code) => refusal.startsWith(code)) ?? "wrong_state", { why: refusal });
    return { ok: true, answer: { id: document.id, at, ...this.#answer(document, lease, delivery, at) } };
  }

  #answer(document: AnyDocument, { id, orderId, slot }: Lease, delivery: unknown, at: number): Record<string, unknown> {
    if (document.kind === "acceptance")
      return { opening: this.issue("opening", { lease: id, order: orderId, slot, acceptance: document.id, at }).envelope };
    if (document.kind === "takeover") {
      const previous = movedBy(this.lease(id)) ?? "";
      return { move: this.issue("move", { lease: id, takeover: document.envelope, previous, at }).envelope };
    }
    if (document.kind === "claim") {
      const { sequence, usedMs, egressBytes } = document.payload;
      return { receipt: this.issue("claim-receipt", { lease: id, claim: document.id, sequence, usedMs, egressBytes, at }).envelope };
    }
    if (document.kind !== "result" && document.kind !== "delivery") return {};
    const word = delivery === undefined ? null : verifyDocument(delivery, { ...this.world, at });
    if (word?.ok && this.lease(id).state === "delivering") this.#fold(word.document, at);
    return this.settleIfOver(id);
  }

  /** Closes and settles, where the fold has a reason to. */
  settleIfOver(id: string): { closing?: Envelope; settlement?: Envelope } {
    const at = this.timers.now();
    const reason = closingReason(this.lease(id), at);
    if (reason === null) return {};
    const closing = this.issue("closing", { lease: id, reason, at, lastClaim: this.lease(id).lastClaim?.id ?? null });
    const closed = this.lease(id);
    if (!closed.closing || closed.state !== "closed") return { closing: closing.envelope };
    const draw = isDrawnFor(closed, closed.closing.reason) ? { audited: true, auditRound: null } : NOT_AUDITED;
    const end = endOf(closed, closed.closing, draw);
    const settlement = this.issue("settlement", { lease: id, result: closed.result?.id ?? null, closing: closing.id, ...end });
    return { closing: closing.envelope, settlement: settlement.envelope };
  }

  // --- what a server asks for beside the link ---------------------------------------------------------------------------------------

  sealPart = async (id: string, part: number, bytes: Uint8Array): Promise<LinkAnswer> => {
    const { state } = this.lease(id);
    if (state !== "delivering") return refuse("wrong_state", { state });
    const parts = this.sealed.get(id) ?? [];
    if (part <= parts.length) parts[part] ??= bytes;
    this.sealed.set(id, parts);
    return { ok: true, answer: { digest: toHex(crypto.sha256(bytes)) } };
  };

  sealedWhole = async (id: string, count: number): Promise<LinkAnswer> => {
    const { state, result } = this.lease(id);
    if (state !== "delivering" || !result) return refuse("wrong_state", { state });
    const parts = this.sealed.get(id) ?? [];
    if (parts.length !== count) return refuse("conflict", { parts: count, kept: parts.length });
    const digests = parts.map((part) => toHex(crypto.sha256(part)));
    const delivery = this.issue("delivery", { lease: id, result: result.id, sealed: sealedDigestOf(crypto, digests) });
    return { ok: true, answer: { id: delivery.id, at: this.timers.now(), ...this.settleIfOver(id) } };
  };

  /** So many documents are told at once. */
  loggedAtOnce = 5;
  readonly #logged = new WeakMap<Envelope, LogPage["documents"][number]>();

  #loggedOf({ envelope, at }: Filed): LogPage["documents"][number] {
    const known = this.#logged.get(envelope);
    if (known) return known;
    const parsed = parseDocument(crypto, envelope);
    invariant(parsed.ok, "what was filed is a document");
    const logged = { kind: parsed.document.kind, id: parsed.document.id, envelope, at };
    this.#logged.set(envelope, logged);
    return logged;
  }

  logged = async (id: string, after: string | null): Promise<LogPage | null> => {
    const filed = this.log.get(id);
    if (!filed) return null;
    const entry = (each: Filed) => this.#loggedOf(each);
    const from = after === null ? 0 : filed.findIndex((each) => entry(each).id === after) + 1;
    const documents = filed.slice(from, from + this.loggedAtOnce).map(entry);
    const hasMore = from + this.loggedAtOnce < filed.length;
    const until = hasMore ? (documents.at(-1)?.at ?? 0) : Infinity;
    const since = filed[from - 1]?.at ?? -1;
    const gaps = this.#gaps.filter(({ at }) => at > since && at <= until);
    return { documents, leaves: [...this.grants.map((envelope) => ({ envelope, at: 0 })), ...gaps].map(entry), hasMore };
  };

  market = async (): Promise<MarketInfo> => this.info;

  // --- the customer -----------------------------------------------------------------------------------------------------------------

  get offer(): SignedDocument<"offer"> {
    invariant(this.#offer, "the server has listed an offer");
    return this.#offer;
  }

  order(said: Partial<Said<"order">> & { jobHash: string }, by: FakeParty = this.customer): SignedDocument<"order"> {
    const { party, signer, channelKey } = by;
    return this.sign(signer, "order", {
      ...{
        party,
        account: rootAccountOf(party),
        batch: null,
        clientId: (++this.#made).toString(16).padStart(32, "0"),
        segment: false,
        judges: null,
      },
      ...{
        driver: "wasm",
        accel: "any",
        egress: "none",
        egressMibMax: 0,
        resources: { vcpu: 1, memoryMib: 64, diskMib: 16 },
        conditions: [],
      },
      ...{ assurance: "isolated", terms: "on-result", on: "market", maxPriceNanosPerHour: null, durationMsMax: 60_000 },
      ...{ fuelMax: "1000000000000000", budgetNanos: "1000000000", replicas: 1, expiresAt: this.timers.now() + 60_000, label: "" },
      ...{ feeBasisPointsMax: 500, timings: TIMINGS, channelKey: toHex(channelKey.publicKey), auditSalt: "5a".repeat(32) },
      ...said,
    });
  }

  /** What an honest broker would bind; a cheating one says something else in some of it. */
  purchaseOrder(order: SignedDocument<"order">, said: Partial<Said<"purchase-order">> = {}, signer = this.keys.purchaseOrders) {
    const { offer } = this;
    const { party, account, resources, terms, egressMibMax, assurance, timings } = order.payload;
    const { slot = 0 } = said;
    const quoted = quoteOn(order.payload, offer.payload, slot);
    const { durationMsMax, fuelMax, timeBound, fuelBound, holdNanos, cancellationNanos } = quoted;
    const issuedAt = this.timers.now();
    const acceptBy = issuedAt + timings.acceptWithinMs;
    return this.sign(signer, "purchase-order", {
      ...{ order: order.envelope, offer: offer.envelope, fee: null, orderId: order.id, offerId: offer.id, slot: 0, attempt: 1 },
      ...{ customer: party, account, owner: offer.payload.owner, server: offer.payload.server, serverKey: offer.keyid, resources, terms },
      ...{ price: offer.payload.price, durationMsMax, egressMibMax, timeBound, fuelBound, feeBasisPoints: 0, timings },
      ...{ fuelMax: fuelMax.toString(), holdNanos: holdNanos.toString(), cancellationNanos: cancellationNanos.toString() },
      ...{ auditedBefore: 0, auditPpm: auditPpmOf(order.payload, 0), auditReserveNanos: quoted.auditReserveNanos.toString() },
      ...{
        stakeNanos: stakeToLockNanos(assurance, quoted.workNanos).toString(),
        issuedAt,
        acceptBy,
        startBy: acceptBy + timings.startWithinMs,
      },
      ...said,
    });
  }

  /** Orders and binds; the purchase order's id is the lease's. */
  place(said: Partial<Said<"order">> & { jobHash: string }): string {
    return this.file(this.purchaseOrder(this.order(said))).id;
  }
}
