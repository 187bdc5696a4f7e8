/**
 * A receipt carries the public leaves that its facts lean on: whoever learns them knows every signer's role without believing the broker.
 */
import { beforeEach, afterEach, expect, it } from "vitest";
import {
  KIND_TABLE,
  KeyBook,
  fromHex,
  leafHashOf,
  verifyCheckpoint,
  verifyInclusion,
  zReceipt,
  type Kind,
  type Receipt,
  type Signer,
} from "@xenoservers/protocol";
import { nodeCrypto } from "@xenoservers/protocol/node";
import { envelopesIn } from "../desk/credentials.ts";
import { sequence } from "../log/sequencer.ts";
import { Receipts } from "./receipts.ts";
import { World, newId, newSigner, type Party, type Server } from "./world.fixture.ts";

let world: World;
let customer: Party;
let server: Server;
let device: Signer;

beforeEach(async () => {
  world = new World();
  await world.start();
  await world.must(world.operator, "fee", { basisPoints: 0, effectiveAt: world.now, clientId: newId() });
  customer = await world.party(1_000_000_000n);
  const owner = await world.party();
  const root = newSigner();
  await world.must(owner.root, "key-rotate", { party: owner.id, newRootKey: root.publicKey, newRecoveryKey: null });
  server = await world.server({ ...owner, root });
  device = await world.key(customer, "device");
});
afterEach(() => world.close());

async function receiptOf(lease: string): Promise<Receipt> {
  while ((await sequence(world.services)) > 0);
  return zReceipt.parse(await new Receipts(world.services).of(await world.row(lease)));
}

/** What the leaves make of the keys, learned in the log's order. */
function bookOf({ leaves }: Receipt): KeyBook {
  const book = new KeyBook(nodeCrypto, world.services.market.origin);
  for (const { envelope, at } of leaves.toSorted((a, b) => (a.index ?? 0) - (b.index ?? 0))) book.learn(envelope, at);
  return book;
}

it("names every party's signer by grants, and stands whole in the log", async () => {
  const { lease } = await world.lease(customer, server, {}, device);
  await world.must(device, "stop", { lease, party: customer.id, reason: "" });
  const receipt = await receiptOf(lease);
  const { keys, operatorKey } = world.services.market;
  const pinned: string[] = [...Object.values(keys), operatorKey];
  const signers = new Set(receipt.documents.flatMap(({ envelope }) => envelopesIn(envelope).map(({ signatures }) => signatures[0].keyid)));
  const partys = [...signers].filter((key) => !pinned.includes(key));
  expect(partys.toSorted()).toEqual([device.publicKey, server.key.publicKey].toSorted());
  const book = bookOf(receipt);
  expect(book.keyOf(device.publicKey)).toMatchObject({ party: customer.id, role: "device", revokedAt: null });
  expect(book.keyOf(server.key.publicKey)).toMatchObject({ party: server.owner.id, role: "server", revokedAt: null });
  expect(receipt.leaves.every(({ kind, salt }) => KIND_TABLE[kind as Kind].public && salt === "")).toBe(true);
  const checkpoint = verifyCheckpoint(nodeCrypto, keys.checkpoints, receipt.checkpoint);
  for (const { id, kind, envelope, at, salt, leaf, index, proof } of [...receipt.documents, ...receipt.leaves]) {
    expect(leafHashOf(nodeCrypto, { id, kind: kind as Kind, envelope }, at, salt)).toBe(leaf);
    const hashes = proof.map((hash) => fromHex(hash) ?? new Uint8Array());
    const root = fromHex(checkpoint?.root ?? "") ?? new Uint8Array();
    expect(verifyInclusion(nodeCrypto, fromHex(leaf) ?? new Uint8Array(), index ?? -1, receipt.size, hashes, root)).toBe(true);
  }
});

it("tells of the end of a key that signed in it, and who ended it", async () => {
  const { lease } = await world.lease(customer, server, {}, device);
  const root = newSigner();
  await world.must(customer.root, "key-rotate", { party: customer.id, newRootKey: root.publicKey, newRecoveryKey: null });
  world.now += 10;
  await world.must(root, "key-revoke", { party: customer.id, key: device.publicKey, reason: "" });
  const { leaves } = await receiptOf(lease);
  expect(leaves.map(({ kind }) => kind)).toEqual(expect.arrayContaining(["key-revoke", "key-rotate"]));
  expect(bookOf(await receiptOf(lease)).keyOf(device.publicKey)).toMatchObject({ revokedAt: world.now });
});

it("has the fee of its purchase order and the gaps that it lived through, and no others", async () => {
  await world.desk.hear();
  world.now += 30_000;
  await world.desk.hear();
  await world.renew(server);
  const { lease } = await world.lease(customer, server);
  expect((await receiptOf(lease)).leaves.filter(({ kind }) => kind === "gap")).toEqual([]);
  world.now += 20_000;
  await world.desk.hear();
  const gap = (await receiptOf(lease)).leaves.filter(({ kind }) => kind === "gap").map(({ id }) => id);
  expect(gap).toHaveLength(1);
  await world.must(customer.root, "stop", { lease, party: customer.id, reason: "" });
  await world.pass(60_000);
  await world.pass(world.services.config.timings.disputeWindowMs + 60_000);
  expect((await world.row(lease)).state).toBe("final");
  world.now += 20_000;
  await world.desk.hear();
  const { leaves } = await receiptOf(lease);
  expect(leaves.filter(({ kind }) => kind === "gap").map(({ id }) => id)).toEqual(gap);
  expect(leaves.filter(({ kind }) => kind === "fee")).toHaveLength(1);
});

it("has all that the operator has said of referees, and gives their servers their roles, where one was drawn", async () => {
  const [referee, second] = [await world.server(await world.party()), await world.server(await world.party())];
  const other = await world.must(world.operator, "referee", { server: second.id, active: true, clientId: newId() });
  const named = await world.must(world.operator, "referee", { server: referee.id, active: true, clientId: newId() });
  const { lease } = await world.lease(customer, server);
  const result = world.sign(server.key, "result", await world.resultOf(lease, server)).envelope;
  const ruling = world.sign(referee.key, "result", await world.resultOf(lease, referee)).envelope;
  const { id, kind, envelope } = world.sign(world.services.keys.receipts, "verdict", {
    ...{
      lease,
      server: server.id,
      owner: server.owner.id,
      referee: referee.id,
      result,
      ruling,
      trace: null,
      segment: null,
      why: "differs",
    },
    ...{ round: 1, refundNanos: "0", slashedNanos: "0", slashedTo: customer.id, at: world.now },
  });
  const leaf = leafHashOf(nodeCrypto, { id, kind, envelope }, world.now, "");
  await world.store.commit([
    {
      ...{ id, answer: {}, uniques: [], puts: [], floors: [], transfers: [], events: [] },
      documents: [{ id, kind, lease, parties: [customer.id], envelope, at: world.now, salt: "", leaf }],
    },
  ]);
  const receipt = await receiptOf(lease);
  expect(receipt.leaves.filter((document) => document.kind === "referee").map((document) => document.id)).toEqual([
    ...[other["id"], named["id"]],
  ]);
  expect(bookOf(receipt).keyOf(referee.key.publicKey)).toMatchObject({ party: referee.owner.id, role: "server" });
});
