/**
 * Who speaks: from a document's key to the party it may speak for. Every document passes here before its handler, which takes nothing less
 * than a verified one. The rules stand in the document table and `verifySigner`; this only looks up what the broker knows of the key. Who
 * controls the inputs: anyone.
 */
import { ROLE_SCOPES, invariant } from "@xenoservers/market";
import { isOfKind, isPartysKind, refuse, verifySigner, type Refusal, type SignedDocument, type Verified } from "@xenoservers/protocol";
import type { KeyRow, PartyRow, Versioned } from "../store/store.ts";
import type { Round } from "./round.ts";

/** The party whose key signed, and the key. */
export interface PartyCaller {
  party: Versioned<PartyRow>;
  key: KeyRow;
}

/** `caller` is null where the operator signed, or a party that is only being registered. */
type Identified = { ok: true; document: Verified; caller: PartyCaller | null } | Refusal;

export async function identify(round: Round, document: SignedDocument): Promise<Identified> {
  const { crypto, market } = round.services;
  const key = isPartysKind(document.kind) ? await keyOf(round, document) : null;
  const verified = verifySigner(document, { crypto, market, key, at: round.at });
  if (!verified.ok) return verified;
  const { signer } = verified.document;
  if (signer.by !== "party" || key === null) return { ok: true, document: verified.document, caller: null };
  const party = await round.get("party", key.party);
  invariant(party !== null, "every key is a party's");
  return { ok: true, document: verified.document, caller: { party, key } };
}

/**
 * What the broker knows of the key. A rotation may be signed by the recovery key that the party named; that comes first, because anyone can
 * have the same key granted to a party of his own.
 */
async function keyOf(round: Round, document: SignedDocument): Promise<KeyRow | null> {
  const party = isOfKind(document, "key-rotate") ? await round.get("party", document.payload.party) : null;
  if (party?.data.recoveryKey !== document.keyid || party.data.rootKey === document.keyid)
    return (await round.get("key", document.keyid))?.data ?? null;
  const { id, rootKey } = party.data;
  return {
    ...{ id: document.keyid, party: id, role: "root", scopes: ROLE_SCOPES.root, label: "recovery", account: null, leaseLabel: null },
    ...{
      maxSpendPerDayNanos: null,
      expiresAt: null,
      revokedAt: null,
      grant: document.id,
      announced: null,
      grantedBy: rootKey,
      revocation: null,
    },
  };
}

/** What a lease or a batch is made under. */
export interface Place {
  account: string;
  label: string | null;
}

/** Why a key has no business there; null where it does: one that is bound to an account or label acts only inside it. */
export function outsideOf({ account, leaseLabel }: Pick<KeyRow, "account" | "leaseLabel">, place: Place): Refusal | null {
  if (account !== null && account !== place.account)
    return refuse("key_not_allowed", { account: place.account, why: "the key acts in its own account only" });
  if (leaseLabel !== null && leaseLabel !== place.label)
    return refuse("key_not_allowed", { label: leaseLabel, why: "the key acts under its own label only" });
  return null;
}

/** The same for what concerns a party as a whole: its money outside leases, deposits, its accounts. */
export function boundProblem({
  account,
  leaseLabel,
  maxSpendPerDayNanos,
}: Pick<KeyRow, "account" | "leaseLabel" | "maxSpendPerDayNanos">): Refusal | null {
  if (account === null && leaseLabel === null && maxSpendPerDayNanos === null) return null;
  return refuse("key_not_allowed", { why: "this is the whole party's, and the key is bound to an account, a label or an amount per day" });
}
