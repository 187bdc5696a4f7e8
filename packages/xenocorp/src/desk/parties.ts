/** Parties and their keys: register, delegate, revoke, rotate, suspend. */
import { EMPTY_RECORD } from "@xenoservers/market";
import { partyIdOf, refuse, rootAccountOf, type SignedDocument } from "@xenoservers/protocol";
import type { KeyRow, Put } from "../store/store.ts";
import type { PartyCaller } from "./caller.ts";
import { planned, type Outcome } from "./outcome.ts";
import type { Round } from "./round.ts";

const newKey = (over: Partial<KeyRow> & Pick<KeyRow, "id" | "party" | "role" | "label">): KeyRow => ({
  account: null,
  maxSpendPerDayNanos: null,
  expiresAt: null,
  revokedAt: null,
  ...over,
});

export async function registerParty(round: Round, document: SignedDocument<"party">): Promise<Outcome> {
  const { party: id, name, rootKey, recoveryKey } = document.payload;
  if (id !== partyIdOf(round.services.crypto, rootKey)) return refuse("bad_payload", { path: "party", why: "must be derived from rootKey" });
  if (await round.get("party", id)) return refuse("id_reused", { party: id });
  const account = rootAccountOf(id);
  return planned(round, {
    id: document.id,
    filed: [{ document, parties: [id] }],
    answer: { party: id, account },
    puts: [
      {
        kind: "party",
        id,
        expect: 0,
        data: { id, name, rootKey, recoveryKey, account, suspended: false, suspensionReason: "", record: EMPTY_RECORD, pendingRotation: null },
      },
      { kind: "key", id: rootKey, expect: 0, data: newKey({ id: rootKey, party: id, role: "root", label: "root" }) },
      { kind: "account", id: account, expect: 0, data: { id: account, party: id, parent: null, name: "main", limitNanos: null } },
    ],
    events: [{ party: id, kind: "party-registered", lease: null, data: { name } }],
  });
}

/** An `enrol` key can grant one thing only: a `server` key, once; it is used up by that. */
export async function grantKey(round: Round, document: SignedDocument<"key-grant">, caller: PartyCaller): Promise<Outcome> {
  const { key, role, label, account, maxSpendPerDayNanos, expiresAt, party } = document.payload;
  const enrolling = caller.key.role === "enrol";
  if (enrolling && role !== "server") return refuse("key_not_allowed", { kind: "key-grant", role: "enrol", why: "an enrolment token can only enrol a server" });
  if (await round.get("key", key)) return refuse("id_reused", { key });
  if (expiresAt !== null && expiresAt <= round.at) return refuse("expired", { expiresAt });
  if (account !== null && (await round.get("account", account))?.data.party !== party) return refuse("not_found", { account });
  const puts: Put[] = [{ kind: "key", id: key, expect: 0, data: newKey({ id: key, party, role, label, account, maxSpendPerDayNanos, expiresAt }) }];
  if (enrolling) {
    const own = (await round.get("key", caller.key.id))!;
    puts.push({ kind: "key", id: own.data.id, expect: own.version, data: { ...own.data, revokedAt: round.at } });
  }
  return planned(round, {
    id: document.id,
    filed: [{ document, parties: [party] }],
    answer: { party },
    puts,
    events: [{ party, kind: "key-granted", lease: null, data: { key, role, label } }],
  });
}

export async function revokeKey(round: Round, document: SignedDocument<"key-revoke">, caller: PartyCaller): Promise<Outcome> {
  const { key: id, party, reason } = document.payload;
  const key = await round.get("key", id);
  if (!key || key.data.party !== party) return refuse("not_found", { key: id });
  if (id === caller.party.data.rootKey) return refuse("key_not_allowed", { kind: "key-revoke", why: "the root key is replaced with `xeno key rotate`" });
  return planned(round, {
    id: document.id,
    filed: [{ document, parties: [party] }],
    puts: [{ kind: "key", id, expect: key.version, data: { ...key.data, revokedAt: key.data.revokedAt ?? round.at } }],
    events: [{ party, kind: "key-revoked", lease: null, data: { key: id, reason } }],
  });
}

/** The old root key signs the new one at once; the recovery key does after a public delay (PROTOCOL section 2). */
export async function rotateKey(round: Round, document: SignedDocument<"key-rotate">, caller: PartyCaller): Promise<Outcome> {
  const { party: id, newRootKey, newRecoveryKey } = document.payload;
  const { party } = caller;
  if (await round.get("key", newRootKey)) return refuse("id_reused", { key: newRootKey });
  const filed = [{ document, parties: [id] }];
  if (document.keyid === party.data.recoveryKey) {
    const pending = party.data.pendingRotation;
    if (!pending || pending.newRootKey !== newRootKey) {
      const effectiveAt = round.at + round.services.config.recoveryDelayMs;
      return planned(round, {
        id: document.id,
        filed,
        answer: { effectiveAt },
        puts: [{ kind: "party", id, expect: party.version, data: { ...party.data, pendingRotation: { newRootKey, newRecoveryKey, effectiveAt } } }],
        events: [{ party: id, kind: "key-rotation-announced", lease: null, data: { newRootKey, effectiveAt } }],
      });
    }
    if (pending.effectiveAt > round.at) return refuse("wrong_state", { state: "rotation announced", effectiveAt: pending.effectiveAt });
  }
  const old = (await round.get("key", party.data.rootKey))!;
  return planned(round, {
    id: document.id,
    filed,
    answer: { effectiveAt: round.at },
    puts: [
      { kind: "party", id, expect: party.version, data: { ...party.data, rootKey: newRootKey, recoveryKey: newRecoveryKey, pendingRotation: null } },
      { kind: "key", id: old.data.id, expect: old.version, data: { ...old.data, revokedAt: round.at } },
      { kind: "key", id: newRootKey, expect: 0, data: newKey({ id: newRootKey, party: id, role: "root", label: "root" }) },
    ],
    events: [{ party: id, kind: "key-rotated", lease: null, data: { newRootKey } }],
  });
}

export async function suspendParty(round: Round, document: SignedDocument<"suspension">): Promise<Outcome> {
  const { party: id, suspended, reason } = document.payload;
  const party = await round.get("party", id);
  if (!party) return refuse("not_found", { party: id });
  return planned(round, {
    id: document.id,
    filed: [{ document, parties: [id] }],
    puts: [{ kind: "party", id, expect: party.version, data: { ...party.data, suspended, suspensionReason: reason } }],
    events: [{ party: id, kind: suspended ? "suspended" : "suspension-lifted", lease: null, data: { reason } }],
    effects: [{ kind: "index-suspended", party: id, suspended }],
  });
}
