/** A lease that goes on at another server of its owner, at the broker: its books, who is told, and what is refused. */
import { randomBytes } from "node:crypto";
import { beforeEach, describe, expect, it } from "vitest";
import { RESOURCE_KEYS } from "@xenoservers/market";
import { parseDocumentOf, serverIdOf, type Envelope, type Payload } from "@xenoservers/protocol";
import { createSigner, nodeCrypto } from "@xenoservers/protocol/node";
import type { Identity } from "@xenoservers/sdk";
import { Harness, type ServerParty } from "./harness.ts";

const MACHINES: Partial<Payload<"offer">> = { drivers: ["qemu"], vmEngine: "qemu 7.2", accel: "kvm" };

let h: Harness;
let customer: Identity;
let server: ServerParty;
let other: ServerParty;

/** Another server of the same owner, listed. */
async function sibling(of: ServerParty, over: Partial<Payload<"offer">> = {}): Promise<ServerParty> {
  const signer = createSigner(randomBytes(32));
  const id = serverIdOf(nodeCrypto, signer.publicKey);
  await h.grant(of.owner, signer.publicKey, "server");
  const offer = (more: Partial<Payload<"offer">> = {}) =>
    h.sign(signer, "offer", { ...of.offer({ ...over, ...more, validUntil: h.now + 600_000 }).payload, server: id });
  expect((await h.submit(offer())).code).toBeUndefined();
  h.index.setOnline(id, true);
  return { owner: of.owner, signer, id, offer };
}

beforeEach(async () => {
  h = await Harness.open();
  customer = await h.party(10_000_000n);
  server = await h.server(MACHINES);
});

async function open(over: Partial<Payload<"order">> = {}): Promise<string> {
  const bound = await h.submit(h.order(customer, { driver: "qemu", ...over }));
  expect(bound.code).toBeUndefined();
  const lease = String(bound["lease"]);
  expect((await h.accept(server, lease)).code).toBeUndefined();
  other = await sibling(server, MACHINES);
  return lease;
}

async function claim(by: ServerParty, lease: string, usedMs: number): Promise<{ code?: string }> {
  const { lastClaim, openingId } = await h.lease(lease);
  const { incarnation = 1, sequence = 0, id = openingId ?? "" } = lastClaim ?? {};
  return h.act(by.signer, "claim", { lease, incarnation, sequence: sequence + 1, usedMs, egressBytes: 0, previous: id });
}

async function handover(lease: string, by = server, to = other) {
  const row = await h.lease(lease);
  const previous = row.lastMove ?? row.acceptance ?? "";
  const lastClaim = row.lastClaim?.id ?? row.openingId ?? "";
  return h.sign(by.signer, "handover", { lease, previous, server: by.id, to: to.id, lastClaim });
}

/** As the market lists it. */
async function listedOffer(of: ServerParty): Promise<Envelope> {
  const row = (await h.store.load("server", [of.id])).get(of.id);
  const stored = await h.store.document(row?.data.offerId ?? "");
  if (!stored) throw new Error("the server is not listed");
  return stored.envelope;
}

const takeover = async (lease: string, handed: Awaited<ReturnType<typeof handover>>, by = other, offer?: Envelope) =>
  h.sign(by.signer, "takeover", { lease, server: by.id, handover: handed.envelope, offer: offer ?? (await listedOffer(by)) });

const room = async (of: ServerParty) =>
  Object.fromEntries(
    await Promise.all(
      RESOURCE_KEYS.map(async (key) => [key, [await h.balance(`${of.id}/${key}`), await h.balance(`${of.id}/${key}/leased`)]]),
    ),
  );

describe("a move", () => {
  it("takes room at the one server, gives back that of the other, and tells both", async () => {
    const lease = await open();
    await h.pass(10_000);
    expect((await claim(server, lease, 9_000)).code).toBeUndefined();
    const before = await h.lease(lease);
    const [taken, free] = [await room(server), await room(other)];
    const document = await takeover(lease, await handover(lease));
    h.sent.length = 0;
    const answer = await h.submit(document);
    expect(answer.code).toBeUndefined();
    const move = parseDocumentOf(nodeCrypto, "move", answer["move"]);
    expect(move.ok && move.document.payload.lease).toBe(lease);
    const after = await h.lease(lease);
    expect(after).toMatchObject({ server: other.id, serverKey: other.signer.publicKey, holdNanos: before.holdNanos, price: before.price });
    expect(await room(other)).toEqual(taken);
    expect(await room(server)).toEqual(free);
    expect(h.sent.map((told) => told.server).toSorted()).toEqual([server.id, other.id].toSorted());
    // the same document gets the same answer, and moves nothing again
    expect(await h.submit(document)).toEqual(answer);
    expect(await room(other)).toEqual(taken);
    expect((await claim(server, lease, 9_000)).code).toBe("not_found");
    expect((await claim(other, lease, 9_000)).code).toBeUndefined();
  });

  it("is refused where its server has claimed again, and again taken where it hands over anew", async () => {
    const lease = await open();
    const old = await handover(lease);
    await h.pass(10_000);
    await claim(server, lease, 9_000);
    expect(await h.submit(await takeover(lease, old))).toMatchObject({ code: "conflict" });
    expect((await h.lease(lease)).server).toBe(server.id);
    expect((await h.submit(await takeover(lease, await handover(lease)))).code).toBeUndefined();
  });

  it("is refused where it has moved so often that its log takes no more", async () => {
    const lease = await open();
    const row = (await h.store.load("lease", [lease])).get(lease)!;
    const change = { id: h.id(), answer: {}, uniques: [], floors: [], transfers: [], documents: [], events: [] };
    await h.store.commit([{ ...change, puts: [{ kind: "lease", id: lease, expect: row.version, data: { ...row.data, moves: 4_999 } }] }]);
    expect((await h.submit(await takeover(lease, await handover(lease)))).code).toBeUndefined();
    expect(await h.lease(lease)).toMatchObject({ server: other.id, moves: 5_000 });
    expect(await h.submit(await takeover(lease, await handover(lease, other, server), server))).toMatchObject({
      ...{ code: "conflict", why: "the lease stays: it has moved 5000 times, and its log takes no more moves" },
    });
    expect((await h.lease(lease)).server).toBe(other.id);
  });

  it("goes there and back, with room taken and given back each time", async () => {
    const lease = await open();
    const [taken, free] = [await room(server), await room(other)];
    await h.submit(await takeover(lease, await handover(lease)));
    const home = await handover(lease, other, server);
    expect((await h.submit(await takeover(lease, home, server))).code).toBeUndefined();
    expect([await room(server), await room(other)]).toEqual([taken, free]);
    await h.submit(await takeover(lease, await handover(lease)));
    expect([await room(server), await room(other)]).toEqual([free, taken]);
  });

  it("is refused where there is no room, and leaves everything as it was", async () => {
    const lease = await open();
    const full = await sibling(server, { ...MACHINES, sequence: 1 });
    const filling = h.order(customer, {
      ...{ driver: "qemu", resources: { vcpu: 2, memoryMib: 64, diskMib: 1 } },
      conditions: [{ key: "server", op: "=", value: full.id }],
    });
    expect((await h.submit(filling)).code).toBeUndefined();
    const taken = await room(server);
    expect(await h.submit(await takeover(lease, await handover(lease, server, full), full))).toMatchObject({ code: "capacity_taken" });
    expect((await h.lease(lease)).server).toBe(server.id);
    expect(await room(server)).toEqual(taken);
    expect((await claim(server, lease, 0)).code).toBeUndefined();
  });

  it("is no business of another owner, or of the first server alone", async () => {
    const lease = await open();
    const stranger = await h.server(MACHINES);
    expect(await h.submit(await takeover(lease, await handover(lease, server, stranger), stranger))).toMatchObject({ code: "not_found" });
    expect(await h.submit(await takeover(lease, await handover(lease, server, server), server))).toMatchObject({ code: "conflict" });
  });

  it("goes where the market lists an offer, and by that offer, whatever its server signs beside it", async () => {
    const lease = await open();
    const handed = await handover(lease);
    const unlisted = other.offer({ sequence: 9, labels: { region: "eu" } }).envelope;
    expect(await h.submit(await takeover(lease, handed, other, unlisted))).toMatchObject({
      code: "conflict",
      why: expect.stringContaining("never listed"),
    });
    const listed = await listedOffer(other);
    const withdrawn = { owner: other.owner.party, server: other.id, sequence: 5 };
    expect((await h.act(other.signer, "offer-withdrawal", withdrawn)).code).toBeUndefined();
    expect(await h.submit(await takeover(lease, handed, other, listed))).toMatchObject({
      code: "conflict",
      why: expect.stringContaining("not listed now"),
    });
    expect((await h.lease(lease)).server).toBe(server.id);
    // listed anew, and not yet run out
    expect((await h.submit(other.offer({ sequence: 6 }))).code).toBeUndefined();
    expect((await h.submit(await takeover(lease, handed))).code).toBeUndefined();
  });

  it("does not go to a server that was never listed, or whose key was taken back", async () => {
    const lease = await open();
    const signer = createSigner(randomBytes(32));
    const id = serverIdOf(nodeCrypto, signer.publicKey);
    await h.grant(server.owner, signer.publicKey, "server");
    const offer = (more: Partial<Payload<"offer">> = {}) => h.sign(signer, "offer", { ...other.offer(more).payload, server: id });
    const third = { owner: server.owner, signer, id, offer };
    expect(await h.submit(await takeover(lease, await handover(lease, server, third), third, offer().envelope))).toMatchObject({
      ...{ code: "conflict", why: expect.stringContaining("not listed now") },
    });
    const document = await takeover(lease, await handover(lease));
    await h.act(server.owner.signer, "key-revoke", { party: server.owner.party, key: other.signer.publicKey, reason: "" });
    expect(await h.submit(document)).toMatchObject({ code: "key_revoked" });
    expect((await h.lease(lease)).server).toBe(server.id);
  });

  it("does not go to a referee, whose room is for judging", async () => {
    const lease = await open();
    await h.act(h.operator, "referee", { server: other.id, active: true, clientId: h.id() });
    expect(await h.submit(await takeover(lease, await handover(lease)))).toMatchObject({
      code: "conflict",
      why: expect.stringContaining("referee"),
    });
  });

  it("follows a handover of its own lease and its own server, once", async () => {
    const lease = await open();
    const another = String(
      (await h.submit(h.order(customer, { driver: "qemu", conditions: [{ key: "server", op: "=", value: server.id }] })))["lease"],
    );
    expect((await h.accept(server, another)).code).toBeUndefined();
    const handed = await handover(lease);
    const replayed = h.sign(other.signer, "takeover", {
      lease: another,
      server: other.id,
      handover: handed.envelope,
      offer: await listedOffer(other),
    });
    expect(await h.submit(replayed)).toMatchObject({ code: "conflict" });
    const third = await sibling(server, MACHINES);
    const fork = await takeover(lease, await handover(lease, server, third), third);
    const first = await takeover(lease, handed);
    expect((await h.submit(first)).code).toBeUndefined();
    expect(await h.submit(fork)).toMatchObject({ code: "not_yours" });
    // signed anew by the server that has it: still the word of the one that had it
    expect((await h.submit(other.offer({ sequence: 2 }))).code).toBeUndefined();
    expect(await h.submit(await takeover(lease, handed))).toMatchObject({ code: "not_yours" });
    expect((await h.lease(lease)).server).toBe(other.id);
  });

  it("is nothing that a customer, a stranger or the first server's owner can sign alone", async () => {
    const lease = await open();
    const handed = await handover(lease);
    const payload = { lease, server: other.id, handover: handed.envelope, offer: await listedOffer(other) };
    for (const { signer } of [customer, server.owner, server, await h.party()])
      expect((await h.act(signer, "takeover", payload)).code, signer.publicKey).toBeDefined();
    const ofAnother = h.sign(other.signer, "handover", { ...handed.payload });
    expect((await h.submit(await takeover(lease, ofAnother))).code).toBeDefined();
    expect((await h.lease(lease)).server).toBe(server.id);
  });

  it("bills neither a second that two servers claim nor one in which it stood still", async () => {
    const lease = await open();
    await h.pass(10_000);
    await claim(server, lease, 10_000);
    const handed = await handover(lease);
    await h.pass(15_000);
    expect((await h.submit(await takeover(lease, handed))).code).toBeUndefined();
    await h.pass(5_000);
    // the first one's later claims count no more
    expect((await claim(server, lease, 30_000)).code).toBe("not_found");
    expect((await claim(other, lease, 16_001)).code).toBe("claim_too_early");
    expect((await claim(other, lease, 15_000)).code).toBeUndefined();
    await h.act(customer.signer, "stop", { lease, party: customer.party, reason: "" });
    await h.later(120_000);
    expect((await h.lease(lease)).end).toMatchObject({ reason: "customer-stop", billableMs: 15_000 });
  });

  it("does not come about where the customer has ordered that it stays", async () => {
    const staying = await open({ stays: true });
    expect(await h.submit(await takeover(staying, await handover(staying)))).toMatchObject({
      ...{ code: "conflict", why: expect.stringContaining("ordered that it stays") },
    });
  });

  it("settles with the server that has it, and its room is free again", async () => {
    const lease = await open();
    const free = await room(other);
    await h.submit(await takeover(lease, await handover(lease)));
    await h.pass(5_000);
    await claim(other, lease, 4_000);
    await h.act(customer.signer, "stop", { lease, party: customer.party, reason: "" });
    await h.later(120_000);
    expect((await h.lease(lease)).end).toMatchObject({ reason: "customer-stop", billableMs: 4_000 });
    expect(await room(other)).toEqual(free);
  });
});
