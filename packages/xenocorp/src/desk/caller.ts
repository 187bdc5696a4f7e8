/**
 * Who speaks: from a document's key to the party it may speak for. Every document passes here before its handler, which takes nothing less than a verified
 * one. The rules stand in the document table and `verifySigner`; this only looks up what the broker knows of the key. Who controls the inputs: anyone.
 */
import { ROLE_SCOPES } from "@xenoservers/market";
import { isOfKind, isPartysKind, refuse, verifySigner, type Refusal, type SignedDocument, type Verified } from "@xenoservers/protocol";
import type { KeyRow, PartyRow, Versioned } from "../store/store.ts";
import type { Round } from "./round.ts";

/** The party whose key signed, and the key. */
export interface PartyCaller {
  party: Versioned<PartyRow>;
  key: KeyRow;
}

/** `caller` is null where the operator signed, or a party that is only being registered. */
export type Identified = { ok: true; document: Verified; caller: PartyCaller | null } | Refusal;

export async function identify(round: Round, document: SignedDocument): Promise<Identified> {
  const { crypto, market } = round.services;
  const key = isPartysKind(document.kind) ? await keyOf(round, document) : null;
  const verified = verifySigner(document, { crypto, market, key, at: round.at });
  if (!verified.ok) return verified;
  if (verified.document.signer.by !== "party" || key === null) return { ok: true, document: verified.document, caller: null };
  const party = await round.get("party", key.party);
  return party ? { ok: true, document: verified.document, caller: { party, key } } : refuse("unknown_key");
}

/** What the broker knows of the key; a lost root key is replaced by the recovery key that was named at registration. */
async function keyOf(round: Round, document: SignedDocument): Promise<KeyRow | null> {
  const known = await round.get("key", document.keyid);
  if (known || !isOfKind(document, "key-rotate")) return known?.data ?? null;
  const party = await round.get("party", document.payload.party);
  if (party?.data.recoveryKey !== document.keyid) return null;
  const { id } = party.data;
  return {
    ...{ id: document.keyid, party: id, role: "root", scopes: ROLE_SCOPES.root, label: "recovery", account: null, leaseLabel: null },
    ...{ maxSpendPerDayNanos: null, expiresAt: null, revokedAt: null, grant: document.id, grantedBy: document.keyid },
  };
}
