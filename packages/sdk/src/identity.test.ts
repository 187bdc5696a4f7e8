import { Random, PaperMarket } from "@xenoservers/testkit";
import { fingerprintOf, samePins, toHex } from "@xenoservers/protocol";
import { nodeCrypto } from "@xenoservers/protocol/node";
import { expect, it } from "vitest";
import { channelKeyFor, channelSecretOf, identityOf } from "./identity.ts";

const seed = new Uint8Array(32).fill(7);

it("is the same from the same seed, its channel key included, and says what its key may do", () => {
  const [one, other] = [identityOf(seed), identityOf(seed)];
  expect(other.party).toBe(one.party);
  expect(other.channelKey.publicKey).toEqual(one.channelKey.publicKey);
  expect(one.scopes).toContain("manage");
  expect(identityOf(new Uint8Array(32).fill(8)).party).not.toBe(one.party);
});

it("opens what was ordered by the root keys before it, and by no other", () => {
  const [first, second] = [identityOf(seed), identityOf(new Uint8Array(32).fill(8))];
  const now = identityOf(new Uint8Array(32).fill(9), { party: first.party, formerChannelSecrets: [channelSecretOf(seed)] });
  const named = ({ channelKey }: typeof now): string => toHex(channelKey.publicKey);
  expect(channelKeyFor(now, named(now))).toEqual(now.channelKey);
  expect(channelKeyFor(now, named(first))?.secretKey).toEqual(first.channelKey.secretKey);
  expect(channelKeyFor(now, named(second))).toBe(null);
});

it("of a delegated key acts for its party, in its account and with its scopes alone", () => {
  const party = `p_${"a".repeat(40)}`;
  const delegated = identityOf(seed, { party, account: `a_${"b".repeat(40)}`, scopes: ["read"], leaseLabel: "nightly" });
  expect(delegated).toMatchObject({ party, account: `a_${"b".repeat(40)}`, scopes: ["read"], leaseLabel: "nightly" });
  expect(identityOf(seed, { party }).account).toBe(`a_${"a".repeat(40)}`);
});

it("shows another fingerprint when any pinned key is another, the operator's too", () => {
  const { pins } = new PaperMarket(new Random(1));
  const other = "0".repeat(64);
  const changed = [
    { ...pins, origin: "else.where" },
    { ...pins, operatorKey: other },
    ...(["purchaseOrders", "checkpoints", "receipts"] as const).map((key) => ({ ...pins, keys: { ...pins.keys, [key]: other } })),
  ];
  const prints = [pins, ...changed].map((each) => fingerprintOf(nodeCrypto, each));
  expect(new Set(prints).size).toBe(prints.length);
  expect(prints[0]).toMatch(/^([0-9a-f]{4} ){7}[0-9a-f]{4}$/);
  for (const each of changed) expect(samePins(each, pins)).toBe(false);
  expect(samePins({ ...pins, keys: { ...pins.keys } }, pins)).toBe(true);
});
