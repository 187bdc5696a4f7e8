import { describe, expect, it } from "vitest";
import { KEY_ROLES, ROLE_SCOPES, type KeyRole } from "@xenoservers/market";
import { createSigner, nodeCrypto } from "../node-crypto.ts";
import { partyIdOf, serverIdOf } from "../ids.ts";
import { signDocument } from "./envelope.ts";
import type { MarketPins } from "./parts.ts";
import { verifySigner, type KnownKey } from "./signer.ts";
import { KINDS, KIND_TABLE, schemaOf } from "./table.ts";

const seed = (byte: number) => createSigner(new Uint8Array(32).fill(byte));
const [orders, checkpoints, receipts, operator, someone] = [1, 2, 3, 4, 5].map(seed);
if (!orders || !checkpoints || !receipts || !operator || !someone) throw new Error("five keys");
const market: MarketPins = {
  origin: "m",
  keys: { purchaseOrders: orders.publicKey, checkpoints: checkpoints.publicKey, receipts: receipts.publicKey },
  operatorKey: operator.publicKey,
};
const party = partyIdOf(nodeCrypto, someone.publicKey);
const known = (over: Partial<KnownKey> = {}): KnownKey => ({
  ...{
    id: someone.publicKey,
    party,
    role: "root",
    scopes: ROLE_SCOPES.root,
    account: null,
    leaseLabel: null,
    expiresAt: null,
    revokedAt: null,
  },
  ...over,
});
const stop = (over: object = {}, signer = someone) =>
  signDocument(nodeCrypto, signer, "stop", { origin: "m", seen: null, lease: "00".repeat(32), party, reason: "", ...over });
const verified = (key: KnownKey | null, document = stop(), at = 10) => verifySigner(document, { crypto: nodeCrypto, market, key, at });

describe("a signature counts for what its role may say", () => {
  it.each([
    ["unknown_key", null],
    ["key_revoked", known({ revokedAt: 9 })],
    ["key_expired", known({ expiresAt: 10 })],
    ["key_not_allowed", known({ role: "server", scopes: ROLE_SCOPES.server })],
    ["key_not_allowed", known({ scopes: ["read"] })],
    ["not_yours", known({ party: `p_${"0".repeat(40)}` })],
  ] as const)("refuses with %s", (code, key) => {
    expect(verified(key)).toMatchObject({ ok: false, code });
  });

  it("takes what the key may say, and says who spoke", () => {
    expect(verified(known())).toMatchObject({ ok: true, document: { signer: { by: "party", party, role: "root" } } });
    expect(verified(known({ revokedAt: 11 }))).toMatchObject({ ok: true });
    expect(verified(known(), stop({ origin: "elsewhere" }))).toMatchObject({ ok: false, code: "wrong_origin" });
  });

  it("lets a server's key speak for its own server only", () => {
    const key = known({ role: "server", scopes: ROLE_SCOPES.server });
    const accept = (server: string) =>
      signDocument(nodeCrypto, someone, "acceptance", { origin: "m", seen: null, lease: "00".repeat(32), server });
    const own = serverIdOf(nodeCrypto, someone.publicKey);
    expect(verifySigner(accept(own), { crypto: nodeCrypto, market, key, at: 1 })).toMatchObject({ ok: true });
    const other = serverIdOf(nodeCrypto, operator.publicKey);
    expect(verifySigner(accept(other), { crypto: nodeCrypto, market, key, at: 1 })).toMatchObject({ ok: false, code: "not_yours" });
  });

  it("tells the broker's keys apart", () => {
    const gap = (signer: typeof orders) => signDocument(nodeCrypto, signer, "gap", { origin: "m", seen: null, from: 1, to: 2 });
    const by = (signer: typeof orders) => verifySigner(gap(signer), { crypto: nodeCrypto, market, key: known(), at: 3 });
    expect(by(receipts)).toMatchObject({ ok: true, document: { signer: { by: "broker", key: "receipts" } } });
    for (const wrong of [orders, checkpoints, operator, someone]) expect(by(wrong)).toMatchObject({ ok: false, code: "key_not_allowed" });
  });
});

describe("the document table", () => {
  it("gives no role a scope that the role has not", () => {
    for (const kind of KINDS)
      for (const rule of KIND_TABLE[kind].signers) {
        const { scope } = rule.by === "party" ? rule : { scope: null };
        if (rule.by === "party" && scope !== null)
          for (const role of rule.roles) expect(ROLE_SCOPES[role], `${kind} ${role}`).toContain(scope);
      }
  });

  it("has for each kind a schema, a signer, and for each role a kind that it may sign", () => {
    const signing = new Set<KeyRole>();
    for (const kind of KINDS) {
      expect(schemaOf(kind)).toBeDefined();
      expect(KIND_TABLE[kind].signers.length).toBeGreaterThan(0);
      for (const rule of KIND_TABLE[kind].signers) if (rule.by === "party") for (const role of rule.roles) signing.add(role);
    }
    expect([...signing].sort()).toEqual([...KEY_ROLES].sort());
  });
});
