/**
 * Who may say what: one function turns a signed document into a verified one, by the document table and what is known of its key. Whoever
 * acts on a document takes it as `Verified`, which nothing else makes. Who controls the inputs: anyone (the document); the market's keys
 * are pinned and what is known of a party's key comes from grants (`key-book.ts`) or the broker's own books.
 */
import type { KeyRole, Scope, Speaker } from "@xenoservers/market";
import type { Crypto } from "../crypto.ts";
import { refuse, type Refusal } from "../errors.ts";
import { serverIdOf } from "../ids.ts";
import { parseDocument, parseDocumentOf, type SignedDocument } from "./envelope.ts";
import type { MarketPins } from "./parts.ts";
import type { Kind } from "./schemas.ts";
import { KIND_TABLE, rowOf, type BrokerKey, type SignerRule } from "./table.ts";

/** What is known of a party's key. */
export interface KnownKey {
  id: string;
  party: string;
  role: KeyRole;
  scopes: readonly Scope[];
  /** The only account it acts in; null: all of the party's. */
  account: string | null;
  /** The only label of leases it acts on; null: any. */
  leaseLabel: string | null;
  expiresAt: number | null;
  revokedAt: number | null;
}

declare const verified: unique symbol;
/** A document whose signature is right and whose signer may say it. */
export interface Verified<K extends Kind = Kind> extends SignedDocument<K> {
  readonly signer: Speaker;
  readonly [verified]: true;
}
export type AnyVerified = { [K in Kind]: Verified<K> }[Kind];

interface SignerFacts {
  crypto: Crypto;
  market: MarketPins;
  /** Of the key that signed; null where it is no party's. */
  key: KnownKey | null;
  /** When the document was said: a key that was revoked or had expired by then says nothing. */
  at: number;
}

type SignerResult<K extends Kind> = { ok: true; document: Verified<K> } | Refusal;

const BROKER_KEYS: Readonly<Record<BrokerKey, keyof MarketPins["keys"]>> = {
  orders: "purchaseOrders",
  receipts: "receipts",
  checkpoints: "checkpoints",
};

function pinnedSpeaker(rules: readonly SignerRule[], keyid: string, market: MarketPins): Speaker | null {
  for (const rule of rules) {
    if (rule.by === "broker" && keyid === market.keys[BROKER_KEYS[rule.key]]) return { by: "broker", key: rule.key };
    if (rule.by === "operator" && keyid === market.operatorKey) return { by: "operator" };
  }
  return null;
}

/** Why a key says nothing any more; null while it does. */
export function keyRefusal(key: KnownKey | null, at: number): Refusal | null {
  if (!key) return refuse("unknown_key");
  if (key.revokedAt !== null && key.revokedAt <= at) return refuse("key_revoked", { key: key.id });
  if (key.expiresAt !== null && key.expiresAt <= at) return refuse("key_expired", { key: key.id, expiresAt: key.expiresAt });
  return null;
}

/** Precedence of refusals: known, not revoked, not expired, role, scope, speaks for itself, is that server. */
function partySpeaker<K extends Kind>(
  document: SignedDocument<K>,
  { crypto, key, at }: SignerFacts,
): { ok: true; signer: Speaker } | Refusal {
  const { kind, payload } = document;
  const row = rowOf(kind);
  const gone = keyRefusal(key, at);
  if (gone) return gone;
  if (!key) return refuse("unknown_key");
  const roles = row.signers.filter((rule) => rule.by === "party" && rule.roles.includes(key.role));
  if (roles.length === 0) return refuse("key_not_allowed", { kind, role: key.role });
  if (!roles.some((rule) => rule.by === "party" && (rule.scope === null || key.scopes.includes(rule.scope))))
    return refuse("key_not_allowed", {
      kind,
      role: key.role,
      scopes: key.scopes.join(" "),
      why: "the key was not granted the scope that this needs",
    });
  const speaksFor = row.speaksFor(payload);
  if (speaksFor !== null && speaksFor !== key.party) return refuse("not_yours", { party: speaksFor });
  const server = row.server?.(payload) ?? null;
  if (server !== null && server !== serverIdOf(crypto, key.id)) return refuse("not_yours", { server });
  const { id, party, role, scopes, account, leaseLabel } = key;
  return { ok: true, signer: { by: "party", party, key: id, role, scopes, account, label: leaseLabel } };
}

/** Whether a kind is one that parties sign: only then is anything of a party's key to be looked up. */
export const isPartysKind = (kind: Kind): boolean => KIND_TABLE[kind].signers.some((rule) => rule.by === "party");

function speakerOf<K extends Kind>(document: SignedDocument<K>, facts: SignerFacts): { ok: true; signer: Speaker } | Refusal {
  const { kind, keyid, payload } = document;
  const { signers } = rowOf(kind);
  if (payload.origin !== facts.market.origin) return refuse("wrong_origin", { expected: facts.market.origin, got: payload.origin });
  const pinned = pinnedSpeaker(signers, keyid, facts.market);
  if (pinned) return { ok: true, signer: pinned };
  if (signers.some(({ by }) => by === "self")) return selfSpeaker(document);
  if (isPartysKind(kind)) return partySpeaker(document, facts);
  if (signers.some(({ by }) => by === "operator")) return refuse("operator_only");
  return refuse("key_not_allowed", { kind, why: "only the broker's own key for them issues these" });
}

/** A party's first document is signed by the root key that it names. */
function selfSpeaker({ keyid, payload }: SignedDocument): { ok: true; signer: Speaker } | Refusal {
  if (!("rootKey" in payload) || payload.rootKey !== keyid)
    return refuse("not_yours", { why: "a party's first document is signed by its own root key" });
  return {
    ok: true,
    signer: { by: "party", party: payload.party, key: keyid, role: "root", scopes: ["manage"], account: null, label: null },
  };
}

/** The only maker of verified documents. */
export function verifySigner<K extends Kind>(document: SignedDocument<K>, facts: SignerFacts): SignerResult<K> {
  const speaker = speakerOf(document, facts);
  if (!speaker.ok) return speaker;
  // the brand is a type's only: this is the one place that gives it
  return { ok: true, document: { ...document, signer: speaker.signer } as Verified<K> };
}

/** Untrusted bytes → a verified document of any kind. `keyOf` says what is known of a party's key. */
export function verifyDocument(
  untrusted: unknown,
  facts: Omit<SignerFacts, "key"> & { keyOf(keyid: string): KnownKey | null },
): SignerResult<Kind> {
  const parsed = parseDocument(facts.crypto, untrusted);
  return parsed.ok ? verifySigner(parsed.document, { ...facts, key: facts.keyOf(parsed.document.keyid) }) : parsed;
}

/** As verifyDocument, and of one kind. */
export function verifyDocumentOf<K extends Kind>(
  kind: K,
  untrusted: unknown,
  facts: Omit<SignerFacts, "key"> & { keyOf(keyid: string): KnownKey | null },
): SignerResult<K> {
  const parsed = parseDocumentOf(facts.crypto, kind, untrusted);
  return parsed.ok ? verifySigner(parsed.document, { ...facts, key: facts.keyOf(parsed.document.keyid) }) : parsed;
}

/** A verified document whose kind is not known yet, for a switch over all kinds. */
export const ofAnyKind = (document: Verified): AnyVerified => document as AnyVerified;
