/**
 * Parties and their keys: register, delegate, revoke, rotate, suspend. A key is given no more than its role may have and whoever gives it
 * may give; what it was used for ends with it. Who controls the inputs: whoever holds a party's root or recovery key, or an enrolment
 * token; the operator (suspension). Bounds: keys and rotations of one party.
 */
import { EMPTY_RECORD, GOOD_CONDUCT, ROLE_SCOPES, invariant, type KeyRole } from "@xenoservers/market";
import { partyIdOf, refuse, rootAccountOf, serverIdOf, type Payload, type Refusal, type Verified } from "@xenoservers/protocol";
import type { KeyRow, PartyRow, Put, ServerRow, Versioned } from "../store/store.ts";
import { boundProblem, type PartyCaller } from "./caller.ts";
import { planned, type Effect, type Outcome, type Plan } from "./outcome.ts";
import type { Round } from "./round.ts";

const KEYS_PER_PARTY_MAX = 1_000;
/** Whoever verifies a party's key is shown all its rotations. */
const ROTATIONS_MAX = 100;

/** Which roles a key of this role may give. */
const GIVES: Readonly<Record<KeyRole, readonly KeyRole[]>> = {
  root: ["device", "ci", "enrol", "server"],
  enrol: ["server"],
  device: [],
  ci: [],
  server: [],
};
/** Keys that order nothing: an account, a label and an amount per day mean nothing for them. */
const WITHOUT_PURSE: ReadonlySet<KeyRole> = new Set(["server", "enrol"]);

const rootKeyRow = (id: string, party: string, grant: string, grantedBy: string | null, announced: string | null = null): KeyRow => ({
  ...{ id, party, role: "root", label: "root", scopes: ROLE_SCOPES.root, account: null, leaseLabel: null, maxSpendPerDayNanos: null },
  ...{ expiresAt: null, revokedAt: null, grant, announced, grantedBy, revocation: null },
});

const ended = (key: Versioned<KeyRow>, at: number, revocation: string): Put => ({
  kind: "key",
  id: key.data.id,
  expect: key.version,
  data: { ...key.data, revokedAt: key.data.revokedAt ?? at, revocation: key.data.revocation ?? revocation },
});

export async function registerParty(round: Round, document: Verified<"party">): Promise<Outcome> {
  const { party: id, name, rootKey, recoveryKey } = document.payload;
  if (id !== partyIdOf(round.services.crypto, rootKey))
    return refuse("bad_payload", { path: "party", why: "must be derived from rootKey" });
  if (await round.get("party", id)) return refuse("id_reused", { party: id });
  if (await round.get("key", rootKey)) return refuse("id_reused", { key: rootKey });
  const account = rootAccountOf(id);
  const party: PartyRow = {
    ...{ id, name, rootKey, recoveryKey, account, suspended: false, suspensionReason: "", record: EMPTY_RECORD },
    ...{ conduct: GOOD_CONDUCT, pendingRotation: null },
  };
  return planned(round, {
    id: document.id,
    filed: [{ document, parties: [id] }],
    answer: { party: id, account },
    puts: [
      { kind: "party", id, expect: 0, data: party },
      { kind: "key", id: rootKey, expect: 0, data: rootKeyRow(rootKey, id, document.id, null) },
      { kind: "account", id: account, expect: 0, data: { id: account, party: id, parent: null, name: "main", limitNanos: null } },
    ],
    events: [{ party: id, kind: "party-registered", lease: null, data: { name } }],
  });
}

/** What is wrong with a grant by itself, and by who gives it. */
function grantProblem(
  { role, scopes, account, leaseLabel, maxSpendPerDayNanos, expiresAt }: Payload<"key-grant">,
  by: KeyRow,
  at: number,
): Refusal | null {
  const bad = (path: string, why: string): Refusal => refuse("bad_payload", { path, why });
  if (!GIVES[by.role].includes(role))
    return refuse("key_not_allowed", { kind: "key-grant", role: by.role, why: `a key of this role cannot give ${role}` });
  if (new Set(scopes).size < scopes.length) return bad("scopes", "must name each scope once");
  const beyond = scopes.find((scope) => !ROLE_SCOPES[role].includes(scope));
  if (beyond !== undefined) return bad("scopes", `a key of the role ${role} may not ${beyond}: at most ${ROLE_SCOPES[role].join(", ")}`);
  if (WITHOUT_PURSE.has(role) && (account !== null || leaseLabel !== null || maxSpendPerDayNanos !== null))
    return bad("account", `a key of the role ${role} has no account, label or amount per day`);
  if (expiresAt !== null && expiresAt <= at) return refuse("expired", { expiresAt });
  // whoever is bound to less gives no more than that
  if (by.account !== null && by.account !== account) return boundProblem(by);
  return by.leaseLabel !== null && by.leaseLabel !== leaseLabel ? boundProblem(by) : null;
}

/** An `enrol` key can grant one thing only: a `server` key, once; it is used up by that. */
export async function grantKey(round: Round, document: Verified<"key-grant">, { key: by }: PartyCaller): Promise<Outcome> {
  const { key: id, role, label, scopes, account, leaseLabel, maxSpendPerDayNanos, expiresAt, party } = document.payload;
  const problem = grantProblem(document.payload, by, round.at);
  if (problem) return problem;
  if (await round.get("key", id)) return refuse("id_reused", { key: id });
  if (account !== null && (await round.get("account", account))?.data.party !== party) return refuse("not_found", { account });
  if ((await round.services.store.keysOf(party, round.at, 0)).length >= KEYS_PER_PARTY_MAX)
    return refuse("limit_reached", { keys: KEYS_PER_PARTY_MAX });
  const data: KeyRow = {
    ...{ id, party, role, label, scopes, account, leaseLabel, maxSpendPerDayNanos, expiresAt },
    ...{ revokedAt: null, grant: document.id, announced: null, grantedBy: by.id, revocation: null },
  };
  const token = by.role === "enrol" ? await round.get("key", by.id) : null;
  return planned(round, {
    id: document.id,
    filed: [{ document, parties: [party] }],
    answer: { party },
    puts: [{ kind: "key", id, expect: 0, data }, ...(token ? [ended(token, round.at, document.id)] : [])],
    events: [{ party, kind: "key-granted", lease: null, data: { key: id, role, label } }],
  });
}

/** A revoked server lists nothing any more, from the same change on: its running leases go on by their rules. */
async function unlisting(round: Round, { id, party, role }: KeyRow): Promise<Required<Pick<Plan, "puts" | "events" | "effects">>> {
  const server = role === "server" ? await round.get("server", serverIdOf(round.services.crypto, id)) : null;
  if (!server?.data.offer || server.data.owner !== party) return { puts: [], events: [], effects: [] };
  const row: ServerRow = { ...server.data, offerId: null, offer: null };
  return {
    puts: [{ kind: "server", id: row.id, expect: server.version, data: row }],
    events: [{ party, kind: "offer-withdrawn", lease: null, data: { server: row.id } }],
    effects: [{ kind: "index-server", row }],
  };
}

export async function revokeKey(round: Round, document: Verified<"key-revoke">, caller: PartyCaller): Promise<Outcome> {
  const { key: id, party, reason } = document.payload;
  const key = await round.get("key", id);
  if (!key || key.data.party !== party) return refuse("not_found", { key: id });
  if (id === caller.party.data.rootKey)
    return refuse("key_not_allowed", { kind: "key-revoke", why: "the root key is replaced with `xeno key rotate`" });
  const { puts, events, effects } = await unlisting(round, key.data);
  return planned(round, {
    id: document.id,
    filed: [{ document, parties: [party] }],
    puts: [ended(key, round.at, document.id), ...puts],
    events: [{ party, kind: "key-revoked", lease: null, data: { key: id, reason } }, ...events],
    effects: [{ kind: "key-revoked", key: id }, ...effects],
  });
}

/** How many root keys a party has had, this one included. */
async function rootsBefore(round: Round, rootKey: string): Promise<number> {
  let count = 0;
  for (let at: string | null = rootKey; at !== null && count <= ROTATIONS_MAX; count++)
    at = (await round.get("key", at))?.data.grantedBy ?? null;
  return count;
}

/** The old root key signs the new one at once; the recovery key does after a public delay (PROTOCOL section 2). */
export async function rotateKey(round: Round, document: Verified<"key-rotate">, { party }: PartyCaller): Promise<Outcome> {
  const { party: id, newRootKey, newRecoveryKey } = document.payload;
  const { rootKey, recoveryKey, pendingRotation: pending } = party.data;
  const [old, next] = await Promise.all([round.get("key", rootKey), round.get("key", newRootKey)]);
  const reserved = pending?.newRootKey === newRootKey;
  invariant(old !== null, "a party's root key is known");
  if (next && !reserved) return refuse("id_reused", { key: newRootKey });
  if ((await rootsBefore(round, rootKey)) > ROTATIONS_MAX) return refuse("limit_reached", { rotations: ROTATIONS_MAX });
  const byRecovery = document.keyid === recoveryKey && document.keyid !== rootKey;
  if (byRecovery && !reserved) return announceRotation(round, document, party);
  if (byRecovery && pending && pending.effectiveAt > round.at)
    return refuse("wrong_state", { state: "rotation announced", effectiveAt: pending.effectiveAt });
  const data: PartyRow = { ...party.data, rootKey: newRootKey, recoveryKey: newRecoveryKey, pendingRotation: null };
  const cut: Effect = { kind: "key-revoked", key: rootKey };
  return planned(round, {
    id: document.id,
    filed: [{ document, parties: [id] }],
    answer: { effectiveAt: round.at },
    puts: [
      { kind: "party", id, expect: party.version, data },
      ended(old, round.at, document.id),
      {
        kind: "key",
        id: newRootKey,
        expect: next?.version ?? 0,
        data: rootKeyRow(newRootKey, id, document.id, rootKey, next?.data.grant ?? null),
      },
    ],
    events: [{ party: id, kind: "key-rotated", lease: null, data: { newRootKey } }],
    effects: [cut],
  });
}

/** The announced key stands reserved, and may not do anything yet: nobody else can take it while the world reads of it. */
function announceRotation(round: Round, document: Verified<"key-rotate">, party: Versioned<PartyRow>): Outcome {
  const { party: id, newRootKey, newRecoveryKey } = document.payload;
  const effectiveAt = round.at + round.services.config.recoveryDelayMs;
  const reserved: KeyRow = {
    ...rootKeyRow(newRootKey, id, document.id, party.data.rootKey),
    label: "announced",
    revokedAt: round.at,
    revocation: document.id,
  };
  return planned(round, {
    id: document.id,
    filed: [{ document, parties: [id] }],
    answer: { effectiveAt },
    puts: [
      { kind: "party", id, expect: party.version, data: { ...party.data, pendingRotation: { newRootKey, newRecoveryKey, effectiveAt } } },
      { kind: "key", id: newRootKey, expect: 0, data: reserved },
    ],
    events: [{ party: id, kind: "key-rotation-announced", lease: null, data: { newRootKey, effectiveAt } }],
  });
}

export async function suspendParty(round: Round, document: Verified<"suspension">): Promise<Outcome> {
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
