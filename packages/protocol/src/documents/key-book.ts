/**
 * What a party's key may do, learned from the public documents that give it its role: a party's own first document, grants by its root
 * key or by an enrolment token, rotations, revocations. A party's id follows from its first root key, so nobody needs to believe whoever
 * hands these over. Who controls the inputs: anyone; only what is signed by the right key is learned. Revocation is known only as far as
 * it was handed over.
 */
import { ROLE_SCOPES } from "@xenoservers/market";
import type { Crypto } from "../crypto.ts";
import { partyIdOf } from "../ids.ts";
import { isOfKind, parseDocument, type AnyDocument, type SignedDocument } from "./envelope.ts";
import type { Kind } from "./schemas.ts";
import type { KnownKey } from "./signer.ts";

/** What a key book learns from. */
export const GRANTING: readonly Kind[] = ["party", "key-grant", "key-rotate", "key-revoke"];

const KEYS_MAX = 50_000;

interface KnownParty {
  rootKey: string;
  recoveryKey: string | null;
  /** What the recovery key has announced: it counts when it is said again, after it has stood in public. */
  announced: { document: string; newRootKey: string } | null;
}

export class KeyBook {
  readonly #crypto: Crypto;
  readonly #origin: string;
  readonly #keys = new Map<string, KnownKey>();
  readonly #parties = new Map<string, KnownParty>();
  /** By enrolment token: the one server that it enrolled. */
  readonly #enrolled = new Map<string, string>();

  constructor(crypto: Crypto, origin: string) {
    this.#crypto = crypto;
    this.#origin = origin;
  }

  keyOf = (keyid: string): KnownKey | null => this.#keys.get(keyid) ?? null;

  /**
   * Learns what a document says; false where it is not rightly signed. `at`: when it was logged. Whoever gives times gives the log's
   * order too: what stands after a revocation counts no more. Without a time nothing is known of the order, and only what a key never
   * could say is passed over.
   */
  learn(untrusted: unknown, at = 0): boolean {
    const parsed = parseDocument(this.#crypto, untrusted);
    return parsed.ok && this.learnDocument(parsed.document, at);
  }

  /** As `learn`, of a document whose signature was checked. */
  learnDocument(document: AnyDocument, at = 0): boolean {
    if (document.payload.origin !== this.#origin) return false;
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
    return this.#know({
      id,
      party,
      role: "root",
      scopes: ROLE_SCOPES.root,
      account: null,
      leaseLabel: null,
      expiresAt: null,
      revokedAt: null,
    });
  }

  #party({ keyid, payload }: SignedDocument<"party">): boolean {
    const { party, rootKey, recoveryKey } = payload;
    if (keyid !== rootKey || party !== partyIdOf(this.#crypto, rootKey)) return false;
    if (this.#parties.has(party)) return true;
    this.#parties.set(party, { rootKey, recoveryKey, announced: null });
    return this.#root(party, rootKey);
  }

  /** Whether a key still spoke when the log took what it signed. */
  #speaks({ revokedAt, expiresAt }: KnownKey, at: number): boolean {
    return at === 0 || (revokedAt === null && (expiresAt === null || expiresAt > at));
  }

  #grant({ keyid, payload }: SignedDocument<"key-grant">, at: number): boolean {
    const by = this.#keys.get(keyid);
    const { party, key: id, role, scopes, account, leaseLabel, expiresAt } = payload;
    if (by?.party !== party || !scopes.every((scope) => ROLE_SCOPES[role].includes(scope))) return false;
    const known = this.#keys.get(id);
    if (known) return known.party === party && known.role === role;
    if (!this.#speaks(by, at) || !this.#mayGrant(by, role, id)) return false;
    return this.#know({ id, party, role, scopes, account, leaseLabel, expiresAt, revokedAt: null });
  }

  /** The root key grants what it likes; an enrolment token is used up by one server. */
  #mayGrant(by: KnownKey, role: KnownKey["role"], id: string): boolean {
    if (by.role === "root") return true;
    if (by.role !== "enrol" || role !== "server" || (this.#enrolled.get(by.id) ?? id) !== id) return false;
    this.#enrolled.set(by.id, id);
    return true;
  }

  #rotate({ id: document, keyid, payload }: SignedDocument<"key-rotate">, at: number): boolean {
    const { party: id, newRootKey, newRecoveryKey } = payload;
    const party = this.#parties.get(id);
    if (!party) return false;
    const known = this.#keys.get(newRootKey);
    if (known) return known.party === id && known.role === "root";
    if (keyid === party.recoveryKey && keyid !== party.rootKey && !isSaidAgain(party, document, newRootKey)) {
      this.#parties.set(id, { ...party, announced: { document, newRootKey } });
      return true;
    }
    if (keyid !== party.rootKey && keyid !== party.recoveryKey) return false;
    const old = this.#keys.get(party.rootKey);
    if (old) this.#keys.set(old.id, { ...old, revokedAt: old.revokedAt ?? at });
    this.#parties.set(id, { rootKey: newRootKey, recoveryKey: newRecoveryKey, announced: null });
    return this.#root(id, newRootKey);
  }

  #revoke({ keyid, payload }: SignedDocument<"key-revoke">, at: number): boolean {
    const by = this.#keys.get(keyid);
    const key = this.#keys.get(payload.key);
    if (by?.role !== "root" || !key || by.party !== payload.party || key.party !== payload.party || !this.#speaks(by, at)) return false;
    // a root key is replaced, never revoked: nobody would be left to speak for its party
    if (this.#parties.get(payload.party)?.rootKey === key.id) return false;
    this.#keys.set(key.id, { ...key, revokedAt: key.revokedAt ?? at });
    return true;
  }
}

const isSaidAgain = ({ announced }: KnownParty, document: string, newRootKey: string): boolean =>
  announced !== null && announced.newRootKey === newRootKey && announced.document !== document;
