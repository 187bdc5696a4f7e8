/** Keys and their roles: what counts, and what does not, whoever hands it over. */
import { beforeEach, describe, expect, it } from "vitest";
import { ROLE_SCOPES, type KeyRole } from "@xenoservers/market";
import { partyIdOf } from "../ids.ts";
import { createSigner, nodeCrypto as crypto } from "../node-crypto.ts";
import { signDocument } from "./envelope.ts";
import { KeyBook } from "./key-book.ts";
import type { Payload } from "./schemas.ts";

const origin = "test/market";
const keyOf = (seed: number) => createSigner(new Uint8Array(32).fill(seed));
const root = keyOf(1);
const root2 = keyOf(2);
const root3 = keyOf(3);
const recovery = keyOf(4);
const device = keyOf(5);
const server = keyOf(6);
const enrol = keyOf(7);
const thief = keyOf(8);
const party = partyIdOf(crypto, root.publicKey);
const base = { origin, seen: null };

const first = (recoveryKey: string | null = null) =>
  signDocument(crypto, root, "party", { ...base, party, name: "p", rootKey: root.publicKey, recoveryKey }).envelope;
const grant = (by = root, key = device, over: Partial<Payload<"key-grant">> & { role?: Exclude<KeyRole, "root"> } = {}) => {
  const role = over.role ?? "device";
  const free = { label: "k", account: null, leaseLabel: null, maxSpendPerDayNanos: null, expiresAt: null };
  return signDocument(crypto, by, "key-grant", {
    ...base,
    party,
    key: key.publicKey,
    scopes: [...ROLE_SCOPES[role]],
    ...free,
    ...over,
    role,
  }).envelope;
};
const rotate = (by: typeof root, to: typeof root, newRecoveryKey: string | null = null, size = 0) =>
  signDocument(crypto, by, "key-rotate", {
    origin,
    seen: { epoch: "e0".repeat(16), size, root: "00".repeat(32) },
    party,
    newRootKey: to.publicKey,
    newRecoveryKey,
  }).envelope;
const revoke = (by: typeof root, key: typeof root) =>
  signDocument(crypto, by, "key-revoke", { ...base, party, key: key.publicKey, reason: "lost" }).envelope;

let book: KeyBook;
beforeEach(() => {
  book = new KeyBook(crypto, origin);
});

describe("a party's keys", () => {
  it("begin with the root key that its id is made of, and with no other", () => {
    const madeUp = signDocument(crypto, thief, "party", {
      ...base,
      party,
      name: "p",
      rootKey: thief.publicKey,
      recoveryKey: null,
    }).envelope;
    expect(book.learn(madeUp, 1)).toBe(false);
    expect(book.learn(grant(), 1)).toBe(false);
    expect(book.learn(first(), 1)).toBe(true);
    expect(book.learn(grant(), 2)).toBe(true);
    expect(book.keyOf(device.publicKey)).toMatchObject({ party, role: "device", scopes: ROLE_SCOPES.device, revokedAt: null });
    expect(new KeyBook(crypto, "another/market").learn(first(), 1)).toBe(false);
  });

  it("grant nothing but the root does, and a token one server", () => {
    book.learn(first(), 1);
    book.learn(grant(), 2);
    expect(book.learn(grant(device, thief), 3)).toBe(false);
    expect(book.learn(grant(root, thief, { scopes: ["manage"] }), 3)).toBe(false);
    expect(book.learn(grant(root, enrol, { role: "enrol", expiresAt: 10 }), 4)).toBe(true);
    expect(book.learn(grant(enrol, thief), 5)).toBe(false);
    expect(book.learn(grant(enrol, server, { role: "server" }), 5)).toBe(true);
    expect(book.learn(grant(enrol, thief, { role: "server" }), 6)).toBe(false);
    expect(book.learn(grant(enrol, server, { role: "server" }), 7)).toBe(true);
  });

  it("enrol nothing once the token has expired", () => {
    book.learn(first(), 1);
    book.learn(grant(root, enrol, { role: "enrol", expiresAt: 10 }), 2);
    expect(book.learn(grant(enrol, server, { role: "server" }), 10)).toBe(false);
    expect(book.learn(grant(enrol, server, { role: "server" }), 9)).toBe(true);
  });
});

describe("a rotation", () => {
  it("ends the old root key: it grants, revokes and rotates no more", () => {
    book.learn(first(), 1);
    book.learn(grant(), 2);
    expect(book.learn(rotate(root, root2), 5)).toBe(true);
    expect(book.keyOf(root.publicKey)).toMatchObject({ revokedAt: 5 });
    expect(book.learn(rotate(root, thief), 5)).toBe(false);
    expect(book.learn(revoke(root, device), 5)).toBe(false);
    expect(book.learn(grant(root, thief), 5)).toBe(false);
    // also where whoever hands it over says that it was logged before
    expect(book.learn(grant(root, thief), 4)).toBe(false);
    expect(book.learn(grant(root2, server, { role: "server" }), 6)).toBe(true);
    expect(book.learn(revoke(root2, device), 7)).toBe(true);
    expect(book.keyOf(device.publicKey)).toMatchObject({ revokedAt: 7 });
  });

  it("that is told again does not bring an old root key back", () => {
    const story = [first(), grant(), rotate(root, root2), rotate(root2, root3)];
    for (const each of [...story, ...story]) expect(book.learn(each)).toBe(true);
    expect(book.learn(rotate(root, root2))).toBe(true);
    expect([root, root2, root3].map((key) => book.keyOf(key.publicKey)?.revokedAt)).toEqual([0, 0, null]);
  });

  it("learned without times leaves what the old root key had granted", () => {
    for (const each of [first(), rotate(root, root2), grant()]) expect(book.learn(each)).toBe(true);
    expect(book.keyOf(device.publicKey)?.revokedAt).toBeNull();
  });

  it("by the recovery key counts when it is said again, and ends the old root key then", () => {
    book.learn(first(recovery.publicKey), 1);
    const announced = rotate(recovery, root2, null, 1);
    expect(book.learn(announced, 2)).toBe(true);
    expect(book.learn(announced, 3)).toBe(true);
    expect(book.keyOf(root2.publicKey)).toBeNull();
    expect(book.keyOf(root.publicKey)?.revokedAt).toBeNull();
    expect(book.learn(rotate(recovery, root2, null, 2), 4)).toBe(true);
    expect(book.keyOf(root2.publicKey)?.role).toBe("root");
    expect(book.keyOf(root.publicKey)?.revokedAt).toBe(4);
    expect(book.learn(rotate(recovery, thief, null, 3), 5)).toBe(false);
  });

  it("that a stolen recovery key announced is undone by the root key", () => {
    book.learn(first(recovery.publicKey), 1);
    book.learn(rotate(recovery, thief, null, 1), 2);
    expect(book.learn(rotate(root, root2), 3)).toBe(true);
    expect(book.learn(rotate(recovery, thief, null, 2), 4)).toBe(false);
    expect(book.keyOf(thief.publicKey)).toBeNull();
  });
});

it("a root key is replaced, never revoked", () => {
  book.learn(first(), 1);
  expect(book.learn(revoke(root, root), 2)).toBe(false);
  expect(book.keyOf(root.publicKey)?.revokedAt).toBeNull();
});
