/**
 * Documents into facts: what the fold reads of each. One place for all sides: the broker, a server, a customer's client and whoever
 * verifies a receipt. Who controls the inputs: whoever signed each document. `keyOf` says what is known of a party's key at the time the
 * document was said.
 */
import { isFactKind, type Contents, type Fact, type FactKind, type Finding, type Speaker } from "@xenoservers/market";
import {
  ofAnyKind,
  refuse,
  serverIdOf,
  verifyDocument,
  verifyDocumentOf,
  type AnyVerified,
  type Crypto,
  type KnownKey,
  type MarketPins,
  type Refusal,
  type Verified,
} from "@xenoservers/protocol";

export interface FactWorld {
  crypto: Crypto;
  market: MarketPins;
  keyOf(keyid: string): KnownKey | null;
}

/** What whoever folds has found by itself. */
export interface Findings {
  /** Of the two results that a dispute, verdict or review is about; `unknown` where one of them is not at hand. */
  finding?: Finding;
}

export type FactResult = { ok: true; fact: Fact } | Refusal;

interface Embedded<P> {
  id: string;
  signer: Speaker;
  payload: P;
}

const part = <P>({ id, signer, payload }: Embedded<P>): Embedded<P> => ({ id, signer, payload });

function embedded<K extends "order" | "offer" | "fee" | "extension" | "handover" | "takeover">(
  world: FactWorld,
  kind: K,
  envelope: unknown,
  at: number,
) {
  const inner = verifyDocumentOf(kind, envelope, { ...world, at });
  return inner.ok ? { ok: true as const, document: inner.document } : refuse(inner.code, { ...inner.facts, inside: kind });
}

function purchaseOrderContent(
  world: FactWorld,
  { payload }: Verified<"purchase-order">,
): { ok: true; content: Contents["purchase-order"] } | Refusal {
  const order = embedded(world, "order", payload.order, payload.issuedAt);
  if (!order.ok) return order;
  const offer = embedded(world, "offer", payload.offer, payload.issuedAt);
  if (!offer.ok) return offer;
  const fee = payload.fee === null ? null : embedded(world, "fee", payload.fee, payload.issuedAt);
  if (fee !== null && !fee.ok) return fee;
  return {
    ok: true,
    content: {
      payload,
      order: part(order.document),
      offer: part(offer.document),
      fee: fee && fee.document.payload,
      serverOfKey: serverIdOf(world.crypto, offer.document.keyid),
    },
  };
}

function amendmentContent(
  world: FactWorld,
  { payload }: Verified<"amendment">,
  at: number,
): { ok: true; content: Contents["amendment"] } | Refusal {
  const extension = embedded(world, "extension", payload.extension, at);
  if (!extension.ok) return extension;
  const { id, signer, payload: wanted } = extension.document;
  const { lease, durationMsMax, holdNanos, previous } = payload;
  return { ok: true, content: { lease, durationMsMax, holdNanos, previous, extension: { id, signer, payload: wanted } } };
}

function takeoverContent(
  world: FactWorld,
  { keyid, payload }: Verified<"takeover">,
  at: number,
): { ok: true; content: Contents["takeover"] } | Refusal {
  const handover = embedded(world, "handover", payload.handover, at);
  if (!handover.ok) return handover;
  const offer = embedded(world, "offer", payload.offer, at);
  if (!offer.ok) return offer;
  const { lease, server } = payload;
  const parts = { handover: part(handover.document), offer: part(offer.document) };
  return { ok: true, content: { lease, server, ...parts, serverOfKey: serverIdOf(world.crypto, keyid) } };
}

function moveContent(world: FactWorld, { payload }: Verified<"move">, at: number): { ok: true; content: Contents["move"] } | Refusal {
  const takeover = embedded(world, "takeover", payload.takeover, at);
  if (!takeover.ok) return takeover;
  const read = takeoverContent(world, takeover.document, at);
  if (!read.ok) return read;
  const { id, signer } = takeover.document;
  const { lease, previous } = payload;
  return { ok: true, content: { lease, previous, at: payload.at, takeover: { id, signer, payload: read.content } } };
}

const made = <K extends FactKind>(document: Verified, kind: K, at: number, content: Contents[K]): FactResult => {
  const { id, signer } = document;
  // the union's members are the kinds, of which this is one
  return { ok: true, fact: { kind, id, signer, at, content } as Fact };
};

type OfLease = Extract<AnyVerified, { kind: FactKind }>;
const isOfLease = (document: AnyVerified): document is OfLease => isFactKind(document.kind);

/** The fact that a verified document is for its lease; null where its kind is none. `at`: when the log took it. */
export function factOf(world: FactWorld, document: AnyVerified, at: number, { finding = "unknown" }: Findings = {}): FactResult | null {
  return isOfLease(document) ? factOfLease(world, document, at, finding) : null;
}

function factOfLease(world: FactWorld, document: OfLease, at: number, finding: Finding): FactResult {
  switch (document.kind) {
    case "purchase-order": {
      const read = purchaseOrderContent(world, document);
      return read.ok ? made(document, "purchase-order", at, read.content) : read;
    }
    case "amendment": {
      const read = amendmentContent(world, document, at);
      return read.ok ? made(document, "amendment", at, read.content) : read;
    }
    case "takeover": {
      const read = takeoverContent(world, document, at);
      return read.ok ? made(document, "takeover", at, read.content) : read;
    }
    case "move": {
      const read = moveContent(world, document, at);
      return read.ok ? made(document, "move", at, read.content) : read;
    }
    case "dispute": {
      const { lease, segment } = document.payload;
      return made(document, "dispute", at, { lease, finding, whole: segment === null });
    }
    case "verdict": {
      const { lease, round, referee, refundNanos, slashedNanos, slashedTo } = document.payload;
      return made(document, "verdict", at, { lease, finding, round, referee, refundNanos, slashedNanos, slashedTo });
    }
    case "review": {
      const { lease, round, referee } = document.payload;
      return made(document, "review", at, { lease, finding, round, referee });
    }
    case "draw":
      return made(document, document.kind, at, document.payload);
    case "appeal":
      return made(document, document.kind, at, document.payload);
    case "acceptance":
      return made(document, document.kind, at, document.payload);
    case "opening":
      return made(document, document.kind, at, document.payload);
    case "claim":
      return made(document, document.kind, at, document.payload);
    case "claim-receipt":
      return made(document, document.kind, at, document.payload);
    case "stop":
      return made(document, document.kind, at, document.payload);
    case "extension":
      return made(document, document.kind, at, document.payload);
    case "commitment":
      return made(document, document.kind, at, document.payload);
    case "reveal":
      return made(document, document.kind, at, document.payload);
    case "result":
      return made(document, document.kind, at, document.payload);
    case "delivery":
      return made(document, document.kind, at, document.payload);
    case "closing":
      return made(document, document.kind, at, document.payload);
    case "settlement":
      return made(document, document.kind, at, document.payload);
    case "gap":
      return made(document, document.kind, at, document.payload);
    case "objection":
      return made(document, document.kind, at, document.payload);
    case "ruling":
      return made(document, document.kind, at, document.payload);
    case "trace-request":
      return made(document, document.kind, at, document.payload);
    case "trace":
      return made(document, document.kind, at, document.payload);
  }
}

/** Untrusted bytes, verified with their signer's role and read as a fact. Null where their kind is none. */
export function parseFact(world: FactWorld, untrusted: unknown, at: number, findings: Findings = {}): FactResult | null {
  const parsed = verifyDocument(untrusted, { ...world, at });
  return parsed.ok ? factOf(world, ofAnyKind(parsed.document), at, findings) : parsed;
}
