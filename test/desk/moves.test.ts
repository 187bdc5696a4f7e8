/** A lease that goes on at another server of its owner, at the broker: its books, who is told, and what is refused. */
import { randomBytes } from "node:crypto";
import { beforeEach, describe, expect, it } from "vitest";
import { RESOURCE_KEYS } from "@xenoservers/market";
import { parseDocumentOf, serverIdOf, type Payload } from "@xenoservers/protocol";
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

const takeover = (lease: string, handed: Awaited<ReturnType<typeof handover>>, by = other) =>
  h.sign(by.signer, "takeover", { lease, server: by.id, handover: handed.envelope, offer: by.offer().envelope });

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
    const document = takeover(lease, await handover(lease));
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
    expect(await h.submit(takeover(lease, old))).toMatchObject({ code: "conflict" });
    expect((await h.lease(lease)).server).toBe(server.id);
    expect((await h.submit(takeover(lease, await handover(lease)))).code).toBeUndefined();
  });

  it("goes there and back, with room taken and given back each time", async () => {
    const lease = await open();
    const [taken, free] = [await room(server), await room(other)];
    await h.submit(takeover(lease, await handover(lease)));
    const home = await handover(lease, other, server);
    expect((await h.submit(takeover(lease, home, server))).code).toBeUndefined();
    expect([await room(server), await room(other)]).toEqual([taken, free]);
    await h.submit(takeover(lease, await handover(lease)));
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
    expect(await h.submit(takeover(lease, await handover(lease, server, full), full))).toMatchObject({ code: "capacity_taken" });
    expect((await h.lease(lease)).server).toBe(server.id);
    expect(await room(server)).toEqual(taken);
    expect((await claim(server, lease, 0)).code).toBeUndefined();
  });

  it("is no business of another owner, or of the first server alone", async () => {
    const lease = await open();
    const stranger = await h.server(MACHINES);
    expect(await h.submit(takeover(lease, await handover(lease, server, stranger), stranger))).toMatchObject({ code: "not_found" });
    expect(await h.submit(takeover(lease, await handover(lease, server, server), server))).toMatchObject({ code: "conflict" });
  });

  it("does not come about where the customer has ordered that it stays", async () => {
    const staying = await open({ stays: true });
    expect(await h.submit(takeover(staying, await handover(staying)))).toMatchObject({
      ...{ code: "conflict", why: expect.stringContaining("ordered that it stays") },
    });
  });

  it("settles with the server that has it, and its room is free again", async () => {
    const lease = await open();
    const free = await room(other);
    await h.submit(takeover(lease, await handover(lease)));
    await h.pass(5_000);
    await claim(other, lease, 4_000);
    await h.act(customer.signer, "stop", { lease, party: customer.party, reason: "" });
    await h.later(120_000);
    expect((await h.lease(lease)).end).toMatchObject({ reason: "customer-stop", billableMs: 4_000 });
    expect(await room(other)).toEqual(free);
  });
});
