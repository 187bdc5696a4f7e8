/** What a key may spend in a day, what a grant gives, and what was tried with both. */
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { KeyBook, signDocument, type Payload, type Signer } from "@xenoservers/protocol";
import { nodeCrypto } from "@xenoservers/protocol/node";
import { DIGEST, World, newId, newSigner, type Given, type Party, type Server } from "../http/world.fixture.ts";
import { Credentials } from "./credentials.ts";

let world: World;
let customer: Party;
let stranger: Party;
let server: Server;

beforeAll(async () => {
  world = new World();
  await world.start();
  customer = await world.party(1_000_000_000n);
  stranger = await world.party();
  server = await world.server(await world.party());
});
afterAll(() => world.close());

describe("a key that may spend little in a day", () => {
  const LIMIT = 100_000n;
  let key: Signer;
  const spent = async (): Promise<bigint> => -(await dayOf(key));
  async function dayOf({ publicKey }: Signer): Promise<bigint> {
    return [...(await world.store.balances([`${publicKey}/`])).values()].reduce((sum, amount) => sum + amount, 0n);
  }
  const lease = (over: Partial<Payload<"order">> = {}, signer = key) => world.act(signer, "order", world.orderOf(customer, over));
  const holdOf = async (answer: Record<string, unknown>): Promise<bigint> => BigInt((await world.row(String(answer["lease"]))).holdNanos);

  beforeEach(async () => {
    world.now += 86_400_000;
    await world.renew(server);
    key = await world.key(customer, "ci", { maxSpendPerDayNanos: LIMIT.toString() });
  });

  it("draws no more than that from a batch that another key opened", async () => {
    const terms = { party: customer.id, account: customer.account, budgetNanos: "990000000", expiresAt: world.now + 600_000 };
    const { batch: of } = await world.must(customer.root, "batch", { ...terms, clientId: newId() });
    expect(await lease({ batch: String(of), budgetNanos: "990000000", durationMsMax: 3_000_000 })).toMatchObject({ code: "limit_reached" });
    const small = await lease({ batch: String(of), budgetNanos: "60000" });
    expect(await spent()).toBe(await holdOf(small));
    expect(await lease({ batch: String(of), budgetNanos: "60000" })).toMatchObject({ code: "limit_reached" });
    expect((await lease({ batch: String(of), budgetNanos: "60000" }, customer.root))["code"]).toBeUndefined();
  });

  it("counts its own batch once, and may draw all of it", async () => {
    const terms = { party: customer.id, account: customer.account, budgetNanos: "90000", expiresAt: world.now + 600_000 };
    const { batch: of } = await world.must(key, "batch", { ...terms, clientId: newId() });
    expect(await spent()).toBe(90_000n);
    expect((await lease({ batch: String(of), budgetNanos: "60000" }))["code"]).toBeUndefined();
    expect(await spent()).toBe(90_000n);
  });

  it("extends nobody's lease by more than that, and wins nothing back by it", async () => {
    const { lease: id } = await world.lease(customer, server, { budgetNanos: "100000000", durationMsMax: 1_000_000 });
    const row = await world.row(id);
    const extension = (durationMsMax: number, signer = key) =>
      world.act(signer, "extension", { ...{ lease: id, party: customer.id, durationMsMax }, previous: row.lastAmendment ?? id });
    expect(await extension(3_000_000)).toMatchObject({ code: "limit_reached" });
    expect((await extension(1_050_000))["code"]).toBeUndefined();
    expect(await spent()).toBe(50_000n);
    await world.must(customer.root, "stop", { lease: id, party: customer.id, reason: "" });
    await world.pass(60_000);
    expect((await world.row(id)).state).toBe("settled");
    expect(await spent()).toBe(50_000n);
  });

  it("gets its day back where its own lease costs less than it held", async () => {
    const { lease: id } = await world.lease(customer, server, { budgetNanos: "60000" }, key);
    const held = await spent();
    expect(held).toBeGreaterThan(0n);
    await world.must(customer.root, "stop", { lease: id, party: customer.id, reason: "" });
    await world.pass(60_000);
    expect(await spent()).toBe(BigInt((await world.row(id)).end?.dueNanos ?? -1));
  });

  it("is not extended from its own day by another key", async () => {
    const { lease: id } = await world.lease(customer, server, { budgetNanos: "60000" }, key);
    const before = await spent();
    const extension = { lease: id, party: customer.id, durationMsMax: 3_000_000, previous: id };
    await world.must(customer.root, "extension", extension);
    expect(await spent()).toBe(before);
  });
});

describe("a grant", () => {
  const refused: readonly [what: string, role: "ci" | "server" | "enrol", over: () => Given, code: string][] = [
    ["scopes beyond its role", "ci", () => ({ scopes: ["read", "manage"] }), "bad_payload"],
    ["a scope twice", "ci", () => ({ scopes: ["read", "read"] }), "bad_payload"],
    ["a server that spends", "server", () => ({ scopes: ["serve", "spend"] }), "bad_payload"],
    ["a server of one account", "server", () => ({ account: customer.account }), "bad_payload"],
    ["a server of one label", "server", () => ({ leaseLabel: "x" }), "bad_payload"],
    ["a token with an amount per day", "enrol", () => ({ maxSpendPerDayNanos: "1" }), "bad_payload"],
    ["another party's account", "ci", () => ({ account: stranger.account }), "not_found"],
    ["what is over", "ci", () => ({ expiresAt: 1 }), "expired"],
  ];
  it.each(refused)("never gives %s", async (_what, role, over, code) => {
    const grant = world.grantOf(customer, newSigner().publicKey, role, over());
    expect(await world.act(customer.root, "key-grant", grant)).toMatchObject({ code });
  });

  it("by a token enrols one server, and nothing else", async () => {
    const token = await world.key(customer, "enrol");
    expect(await world.act(token, "key-grant", world.grantOf(customer, newSigner().publicKey, "device"))).toMatchObject({
      code: "key_not_allowed",
    });
    expect((await world.act(token, "key-grant", world.grantOf(customer, newSigner().publicKey, "server")))["code"]).toBeUndefined();
    expect(await world.act(token, "key-grant", world.grantOf(customer, newSigner().publicKey, "server"))).toMatchObject({
      code: "key_revoked",
    });
  });

  it("of a key that somebody else has already is refused, and a rotation's key is nobody else's meanwhile", async () => {
    const recovery = newSigner();
    const root = newSigner();
    const { id, root: old } = await world.party();
    const next = newSigner();
    await world.must(old, "key-rotate", { party: id, newRootKey: root.publicKey, newRecoveryKey: recovery.publicKey });
    // somebody has the recovery key, which everyone can read, granted to a party of his own
    await world.must(stranger.root, "key-grant", world.grantOf(stranger, recovery.publicKey, "device"));
    const rotation = { party: id, newRootKey: next.publicKey, newRecoveryKey: null };
    await world.must(recovery, "key-rotate", rotation);
    expect(await world.act(stranger.root, "key-grant", world.grantOf(stranger, next.publicKey, "device"))).toMatchObject({
      code: "id_reused",
    });
    world.now += world.services.config.recoveryDelayMs;
    const again = world.sign(recovery, "key-rotate", rotation);
    expect((await world.desk.submit(again.envelope)).ok).toBe(true);
    const later = signDocument(nodeCrypto, recovery, "key-rotate", {
      ...again.payload,
      seen: { epoch: "e0".repeat(16), size: 1, root: DIGEST },
    });
    expect((await world.desk.submit(later.envelope)).ok).toBe(true);
    expect(
      (await world.act(next, "account", { party: id, parent: `a_${id.slice(2)}`, name: "n", limitNanos: null, clientId: newId() }))["code"],
    ).toBeUndefined();
    // whoever learns the new root's documents in order arrives at the same key
    const { envelope } = world.sign(next, "key-revoke", { party: id, key: recovery.publicKey, reason: "" });
    const book = new KeyBook(nodeCrypto, world.services.market.origin);
    for (const document of await new Credentials(world.services).of([envelope]))
      expect(book.learn(document.envelope, document.at)).toBe(true);
    expect(book.keyOf(next.publicKey)).toMatchObject({ party: id, role: "root", revokedAt: null });
    expect(book.keyOf(root.publicKey)?.revokedAt).not.toBeNull();
  });
});

it("answers a repetition to whoever signed it, not to who signs the same words", async () => {
  await world.renew(server);
  const order = world.orderOf(customer);
  const first = await world.must(customer.root, "order", order);
  expect(await world.act(customer.root, "order", order)).toEqual(first);
  const reading = await world.key(customer, "ci", { scopes: ["read"] });
  for (const signer of [stranger.root, server.key, reading, newSigner()])
    expect((await world.act(signer, "order", order))["salt"]).toBeUndefined();
});
