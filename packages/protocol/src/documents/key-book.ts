/**
 * What a party's key may do, learned from the public documents that give it its role: a party's own first document, grants by its root key or by an
 * enrolment token, rotations, revocations. A party's id follows from its first root key, so nobody needs to believe whoever hands these over.
 * Who controls the inputs: anyone; only what is signed by the right key is learned. Revocation is known only as far as it was handed over.
 */
import { ROLE_SCOPES } from "@xenoservers/market";
import type { Crypto } from "../crypto.ts";
import { partyIdOf } from "../ids.ts";
import { parseDocument, type SignedDocument } from "./envelope.ts";
import { isOfKind, type KnownKey } from "./signer.ts";

const KEYS_MAX = 50_000;

interface KnownParty {
  recoveryKey: string | null;
}

export class KeyBook {
  readonly #crypto: Crypto;
  readonly #origin: string;
  readonly #keys = new Map<string, KnownKey>();
  readonly #parties = new Map<string, KnownParty>();

  constructor(crypto: Crypto, origin: string) {
    this.#crypto = crypto;
    this.#origin = origin;
  }

  keyOf = (keyid: string): KnownKey | null => this.#keys.get(keyid) ?? null;

  /** Learns what these say, in order; what is not rightly signed is passed over. `at`: when it was logged, where that is known. */
  learn(untrusted: unknown, at = 0): boolean {
    const parsed = parseDocument(this.#crypto, untrusted);
    if (!parsed.ok || parsed.document.payload.origin !== this.#origin) return false;
    const { document } = parsed;
    if (isOfKind(document, "party")) return this.#party(document);
    if (isOfKind(document, "key-grant")) return this.#grant(document, at);
    if (isOfKind(document, "key-rotate")) return this.#rotate(document, at);
    if (isOfKind(document, "key-revoke")) return this.#revoke(document, at);
    return false;
  }

  #know(key: KnownKey): boolean {
    // the oldest is forgotten: whoever needs it is told again
    if (this.#keys.size >= KEYS_MAX) for (const id of this.#keys.keys()) return this.#keys.delete(id) && this.#know(key);
    this.#keys.set(key.id, key);
    return true;
  }

  #root(party: string, id: string): boolean {
    return this.#know({ id, party, role: "root", scopes: ROLE_SCOPES.root, account: null, leaseLabel: null, expiresAt: null, revokedAt: null });
  }

  #party({ keyid, payload }: SignedDocument<"party">): boolean {
    const { party, rootKey, recoveryKey } = payload;
    if (keyid !== rootKey || party !== partyIdOf(this.#crypto, rootKey)) return false;
    if (this.#parties.has(party)) return true;
    this.#parties.set(party, { recoveryKey });
    return this.#root(party, rootKey);
  }

  #grant({ keyid, payload }: SignedDocument<"key-grant">, at: number): boolean {
    const by = this.#keys.get(keyid);
    const { party, key: id, role, scopes, account, leaseLabel, expiresAt } = payload;
    if (by?.party !== party || (by.revokedAt !== null && by.revokedAt < at)) return false;
    if (by.role !== "root" && !(by.role === "enrol" && role === "server")) return false;
    if (!scopes.every((scope) => ROLE_SCOPES[role].includes(scope))) return false;
    const known = this.#keys.get(id);
    if (known) return known.party === party && known.role === role;
    return this.#know({ id, party, role, scopes, account, leaseLabel, expiresAt, revokedAt: null });
  }

  #rotate({ keyid, payload }: SignedDocument<"key-rotate">, at: number): boolean {
    const { party: id, newRootKey, newRecoveryKey } = payload;
    const party = this.#parties.get(id);
    const old = this.#keys.get(keyid);
    if (!party || !((old?.role === "root" && old.party === id) || keyid === party.recoveryKey)) return false;
    if (old && old.revokedAt === null) this.#keys.set(keyid, { ...old, revokedAt: at });
    this.#parties.set(id, { recoveryKey: newRecoveryKey });
    return this.#root(id, newRootKey);
  }

  #revoke({ keyid, payload }: SignedDocument<"key-revoke">, at: number): boolean {
    const by = this.#keys.get(keyid);
    const key = this.#keys.get(payload.key);
    if (by?.role !== "root" || !key || by.party !== payload.party || key.party !== payload.party) return false;
    this.#keys.set(key.id, { ...key, revokedAt: key.revokedAt ?? at });
    return true;
  }
}
