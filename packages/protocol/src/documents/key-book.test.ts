import { expect, it } from "vitest";
import { ROLE_SCOPES } from "@xenoservers/market";
import { createSigner, nodeCrypto } from "../node-crypto.ts";
import { partyIdOf } from "../ids.ts";
import { signDocument } from "./envelope.ts";
import { KeyBook } from "./key-book.ts";
import type { Payload } from "./schemas.ts";

const key = (byte: number) => createSigner(new Uint8Array(32).fill(byte));
const [root, device, token, server, other] = [key(1), key(2), key(3), key(4), key(5)];
const party = partyIdOf(nodeCrypto, root.publicKey);
const base = { origin: "m", seen: null };
const first = (signer = root, over: Partial<Payload<"party">> = {}) =>
  signDocument(nodeCrypto, signer, "party", { ...base, party, name: "n", rootKey: root.publicKey, recoveryKey: null, ...over }).envelope;
const grant = (signer: typeof root, to: typeof root, role: Payload<"key-grant">["role"], over: Partial<Payload<"key-grant">> = {}) =>
  signDocument(nodeCrypto, signer, "key-grant", {
    ...base,
    ...{ party, key: to.publicKey, role, label: "l", scopes: [...ROLE_SCOPES[role]], account: null, leaseLabel: null },
    ...{ maxSpendPerDayNanos: null, expiresAt: null },
    ...over,
  }).envelope;
const book = () => new KeyBook(nodeCrypto, "m");

it("learns a party's keys from its own documents", () => {
  const known = book();
  expect(known.learn(grant(root, device, "device"))).toBe(false);
  expect(known.learn(first())).toBe(true);
  expect(known.learn(grant(root, device, "device"))).toBe(true);
  expect(known.keyOf(device.publicKey)).toMatchObject({ party, role: "device", scopes: ROLE_SCOPES.device });
  expect(known.learn(grant(root, token, "enrol"))).toBe(true);
  expect(known.learn(grant(token, server, "server"))).toBe(true);
  expect(known.keyOf(server.publicKey)).toMatchObject({ party, role: "server" });
});

it("learns nothing that is not signed by who may say it", () => {
  const known = book();
  expect(known.learn(first(other))).toBe(false);
  expect(known.learn(first(root, { party: `p_${"0".repeat(40)}` }))).toBe(false);
  known.learn(first());
  known.learn(grant(root, token, "enrol"));
  known.learn(grant(root, device, "device"));
  expect(known.learn(grant(other, server, "server"))).toBe(false);
  expect(known.learn(grant(device, server, "server"))).toBe(false);
  expect(known.learn(grant(token, other, "device"))).toBe(false);
  expect(known.learn(grant(root, other, "ci", { scopes: ["manage"] }))).toBe(false);
  expect(known.learn(grant(root, other, "ci", { origin: "elsewhere" }))).toBe(false);
  expect(known.learn("nonsense")).toBe(false);
  expect(known.keyOf(other.publicKey)).toBeNull();
});

it("follows rotations and revocations", () => {
  const known = book();
  known.learn(first());
  known.learn(grant(root, device, "device"));
  const revoke = signDocument(nodeCrypto, root, "key-revoke", { ...base, party, key: device.publicKey, reason: "" });
  expect(known.learn(revoke.envelope, 7)).toBe(true);
  expect(known.keyOf(device.publicKey)).toMatchObject({ revokedAt: 7 });
  const rotate = signDocument(nodeCrypto, root, "key-rotate", { ...base, party, newRootKey: other.publicKey, newRecoveryKey: null });
  expect(known.learn(rotate.envelope, 8)).toBe(true);
  expect(known.keyOf(root.publicKey)).toMatchObject({ revokedAt: 8 });
  expect(known.learn(grant(other, server, "server"), 9)).toBe(true);
  expect(known.learn(grant(root, token, "enrol"), 9)).toBe(false);
});
