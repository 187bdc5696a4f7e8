/** What an owner is told of why its server gets no orders: each reason as matching has it. */
import { DEFAULT_TIMINGS } from "@xenoservers/market";
import { afterEach, beforeEach, expect, it } from "vitest";
import { World, newId, type Party, type Server } from "../http/world.fixture.ts";
import { standingsOf } from "./server-standing.ts";

let world: World;
let owner: Party;
let customer: Party;
let server: Server;
beforeEach(async () => {
  world = new World();
  await world.start();
  await world.must(world.operator, "fee", { basisPoints: 0, effectiveAt: world.now, clientId: newId() });
  [owner, customer] = [await world.party(), await world.party(1_000_000_000n)];
  server = await world.server(owner);
});
afterEach(() => world.close());

const standing = async () => (await standingsOf(world.services, owner.id, null))[0];
const why = async () => (await standing())?.why;
const place = () => world.act(customer.root, "order", world.orderOf(customer));
const whyNoMatch = async () => Object.keys(((await place())["excluded"] ?? {}) as object);

it("is nothing while it gets them", async () => {
  expect(await standing()).toMatchObject({ server: server.id, why: [], allowedParties: 0, clock: null, validUntil: world.now + 600_000 });
  expect((await place())["code"]).toBeUndefined();
});

it("is what keeps orders from it", async () => {
  const { index } = world.services;
  index.setOnline(server.id, false);
  expect([await why(), await whyNoMatch()]).toEqual([["offline"], ["offline"]]);
  index.setOnline(server.id, true);
  index.setClock(server.id, { offsetMs: 60_000, errorMs: 1, isRight: false });
  expect([await why(), await whyNoMatch()]).toEqual([["clock_off"], ["clock"]]);
  expect((await standing())?.clock).toEqual({ offsetMs: 60_000, errorMs: 1, isRight: false });
  index.setClock(server.id, { offsetMs: 0, errorMs: 1, isRight: true });
  await world.must(world.operator, "suspension", { party: owner.id, suspended: true, reason: "", clientId: newId() });
  expect([await why(), await whyNoMatch()]).toEqual([["suspended"], ["suspended"]]);
  await world.must(world.operator, "suspension", { party: owner.id, suspended: false, reason: "", clientId: newId() });
  await world.must(world.operator, "referee", { server: server.id, active: true, clientId: newId() });
  expect(await why()).toEqual(["judging_only"]);
  await world.must(world.operator, "referee", { server: server.id, active: false, clientId: newId() });
  await world.must(server.key, "offer-withdrawal", { owner: owner.id, server: server.id, sequence: 2 });
  expect(await why()).toEqual(["not_listed"]);
});

it("is that all of it is leased, or its offer has run out", async () => {
  await world.lease(customer, server, { resources: { vcpu: 16, memoryMib: 64, diskMib: 1 } });
  expect(await why()).toEqual(["full"]);
  world.now += 600_000;
  expect(await why()).toContain("expired");
});

it("is that it rests after orders that it missed, until when and after what", async () => {
  expect((await place())["code"]).toBeUndefined();
  await world.pass(DEFAULT_TIMINGS.acceptWithinMs + 1_000);
  const rests = await standing();
  expect(rests).toMatchObject({ why: ["cooling"], conduct: { misses: 1, reason: "not-accepted", together: false }, record: { missed: 1 } });
  world.now = rests?.conduct.coolUntil ?? 0;
  expect(await why()).toEqual([]);
});

it("is told of all servers that the party has keys for, of the one whose key asks, and of nobody else's", async () => {
  const key = await world.key(owner, "server");
  const all = await standingsOf(world.services, owner.id, null);
  expect(all.map(({ why: rests }) => rests).toSorted()).toEqual([[], ["offline", "not_listed"]]);
  expect((await standingsOf(world.services, owner.id, key.publicKey)).map(({ why: rests }) => rests)).toEqual([["offline", "not_listed"]]);
  expect(await standingsOf(world.services, customer.id, null)).toEqual([]);
});
