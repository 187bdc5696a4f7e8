/**
 * Who speaks: from a document's key to the party it may speak for. Every document passes here before its handler.
 * Who controls the inputs: anyone. Precedence of refusals: origin, key known, not revoked, not expired, role, speaks for itself.
 */
import { KIND_TABLE, refuse, serverIdOf, type AnyDocument, type Refusal } from "@xenoservers/protocol";
import type { KeyRow, PartyRow, Versioned } from "../store/store.ts";
import type { Round } from "./round.ts";

export type Caller = { ok: true; role: "self" | "operator" } | { ok: true; role: "party"; party: Versioned<PartyRow>; key: KeyRow };
export type PartyCaller = Extract<Caller, { role: "party" }>;

export function keyRefusal(key: KeyRow | null, now: number): Refusal | null {
  if (!key) return refuse("unknown_key");
  if (key.revokedAt !== null && key.revokedAt <= now) return refuse("key_revoked", { key: key.id });
  if (key.expiresAt !== null && key.expiresAt <= now) return refuse("key_expired", { key: key.id, expiresAt: key.expiresAt });
  return null;
}

export async function identify(round: Round, document: AnyDocument): Promise<Caller | Refusal> {
  const { config, crypto } = round.desk;
  if (document.payload.origin !== config.origin) return refuse("wrong_origin", { expected: config.origin, got: document.payload.origin });
  const { signedBy } = KIND_TABLE[document.kind];
  if (signedBy === "broker") return refuse("key_not_allowed", { kind: document.kind, why: "only the broker issues these" });
  if (signedBy === "operator") return document.keyid === config.operatorKey ? { ok: true, role: "operator" } : refuse("operator_only");
  if (document.kind === "party")
    return document.keyid === document.payload.rootKey
      ? { ok: true, role: "self" }
      : refuse("not_yours", { why: "a party's first document is signed by its own root key" });

  const key = (await round.get("key", document.keyid))?.data ?? null;
  if (!key && document.kind === "key-rotate") return recoverer(round, document.payload.party, document.keyid);
  const refusal = keyRefusal(key, round.at);
  if (refusal) return refusal;
  if (!(signedBy as readonly string[]).includes(key!.role)) return refuse("key_not_allowed", { kind: document.kind, role: key!.role });
  const speaksFor = "party" in document.payload ? document.payload.party : "owner" in document.payload ? document.payload.owner : key!.party;
  if (speaksFor !== key!.party) return refuse("not_yours", { party: speaksFor });
  if (key!.role === "server" && "server" in document.payload && document.payload.server !== serverIdOf(crypto, key!.id))
    return refuse("not_yours", { server: document.payload.server });
  const party = await round.get("party", key!.party);
  if (!party) return refuse("unknown_key");
  return { ok: true, role: "party", party, key: key! };
}

/** A lost root key is replaced by the recovery key named at registration. */
async function recoverer(round: Round, partyId: string, keyid: string): Promise<Caller | Refusal> {
  const party = await round.get("party", partyId);
  if (!party || party.data.recoveryKey !== keyid) return refuse("unknown_key");
  const key: KeyRow = {
    id: keyid,
    party: partyId,
    role: "root",
    label: "recovery",
    account: null,
    maxSpendPerDayNanos: null,
    expiresAt: null,
    revokedAt: null,
  };
  return { ok: true, role: "party", party, key };
}
