/** Brokers on one database: what one does, the others hear of once, whatever is lost on the way (rules S1 to S5). */
import { afterAll, beforeEach, expect, it } from "vitest";
import { nodeCrypto } from "@xenoservers/protocol/node";
import type { Pool } from "pg";
import { createTestDatabase, dropTestDatabases } from "../../../../test/database.ts";
import { World, newId, type Server } from "../http/world.fixture.ts";
import { sequence } from "../log/sequencer.ts";
import { createPostgresStore } from "../store/postgres.ts";
import type { MarketEvent, Store } from "../store/store.ts";
import { Fleet } from "./fleet.ts";
import { FleetStore } from "./fleet-store.ts";
import { SequencerPlace } from "./place.ts";

afterAll(dropTestDatabases);

let pool: Pool;
let store: Store;
let market: World;
beforeEach(async () => {
  pool = await createTestDatabase();
  store = createPostgresStore(pool);
  market = new World(store);
  await market.start();
  await market.desk.hear();
});

/** A broker's part of the fleet, with what its hub was told. */
class One {
  readonly held = new Set<string>();
  readonly told: string[] = [];
  readonly events: MarketEvent[] = [];
  hints = 0;
  now = 0;
  readonly fleet: Fleet;
  readonly world: World;

  constructor(world = new World(store)) {
    this.world = world;
    this.fleet = new Fleet({
      store: new FleetStore(pool),
      services: () => world.services,
      hub: () => ({
        holds: (server) => this.held.has(server),
        letGo: (server) => {
          this.held.delete(server);
          this.fleet.unlinked(server);
          this.told.push(`let go ${server}`);
        },
        toServer: (server, filed) => void this.told.push(`${server} ${filed.length}`),
        event: (event) => void this.events.push(event),
        keyRevoked: (key) => void this.told.push(`cut ${key}`),
        dropAll: () => void this.told.push("drop all"),
      }),
      crypto: nodeCrypto,
      monotonicMs: () => this.now,
      wake() {},
      hint: () => void this.hints++,
    });
    world.services.fleet = this.fleet;
  }

  link(server: string, clock = { offsetMs: 0, errorMs: 0 }): void {
    this.held.add(server);
    this.fleet.linked(server, clock);
  }

  /** Reads all that there is to read now. */
  async reads(): Promise<void> {
    for (let before = await this.fleet.read(); before > 0; before = await this.fleet.read());
  }
}

async function pair(): Promise<[One, One]> {
  const both: [One, One] = [new One(market), new One()];
  for (const one of both) await one.fleet.join("127.0.0.1:1");
  for (const one of both) await one.fleet.beat();
  return both;
}

const AN_HOUR = 3_600_000;
/** It is heard from then on, however long what follows takes. */
const heardFor = ({ fleet }: One, ms: number) => pool.query("update broker set beat_at = beat_at + $2 where id = $1", [fleet.id, ms]);

async function boundTo(server: Server): Promise<string> {
  const customer = await market.party(1_000_000_000n);
  const answer = await market.must(customer.root, "order", market.orderOf(customer));
  expect(answer["code"]).toBeUndefined();
  return server.id;
}

it("tells the others of listings, documents, keys and events, each once", async () => {
  const [, other] = await pair();
  const owner = await market.party();
  const server = await market.server(owner);
  other.held.add(server.id);
  await boundTo(server);
  await other.reads();
  expect(other.told).toEqual([`${server.id} 1`]);
  const { index } = other.world.services;
  expect(index.get(server.id)?.free.vcpu).toBe(market.services.index.get(server.id)?.free.vcpu);
  expect(index.get(server.id)?.free.vcpu).toBeLessThan(16);
  expect(other.events.map(({ kind }) => kind)).toContain("lease-bound");
  await market.must(owner.root, "key-revoke", { party: owner.id, key: server.key.publicKey, reason: "" });
  const before = other.events.length;
  await other.reads();
  expect(other.told.slice(1)).toEqual([`cut ${server.key.publicKey}`]);
  expect(index.get(server.id)).toBeUndefined();
  expect(other.events.slice(before).map(({ kind }) => kind)).toEqual(["key-revoked", "offer-withdrawn"]);
  await other.reads();
  expect(other.told).toHaveLength(2);
});

it("acts itself on what it committed without hearing of it, and not on what it knows of", async () => {
  const [here] = await pair();
  const owner = await market.party();
  const server = await market.server(owner);
  here.held.add(server.id);
  await here.reads();
  expect(here.told).toEqual([]);
  const buyer = await market.party(1_000_000_000n);
  const { commit } = store;
  store.commit = async (changes) => {
    await commit(changes);
    throw new Error("Connection terminated unexpectedly");
  };
  const order = market.orderOf(buyer);
  await expect(market.act(buyer.root, "order", order)).rejects.toThrow("terminated");
  store.commit = commit;
  expect(here.told).toEqual([]);
  await here.reads();
  expect(here.told).toEqual([`${server.id} 1`]);
  expect(here.events.some(({ kind }) => kind === "lease-bound")).toBe(true);
  // the same order again is answered as it was, and nothing is told twice
  const told = here.told.length;
  expect(await market.act(buyer.root, "order", order)).toHaveProperty("lease");
  await here.reads();
  expect(here.told).toHaveLength(told);
});

it("knows a server's clock as whoever holds its link measured it", async () => {
  const [here, there] = await pair();
  const server = await market.server(await market.party());
  await there.fleet.follow();
  const HOURS = 2 * 3_600_000;
  here.link(server.id, { offsetMs: -HOURS, errorMs: 20 });
  await here.fleet.write();
  await there.reads();
  const { index } = there.world.services;
  expect(index.clockOf(server.id)).toEqual({ offsetMs: -HOURS, errorMs: 20, isRight: false });
  expect(index.get(server.id)).toMatchObject({ online: true, clockIsRight: false });
  // its clock was set, and it logged in again
  here.link(server.id, { offsetMs: 3, errorMs: 20 });
  await here.fleet.write();
  await there.reads();
  expect(index.get(server.id)).toMatchObject({ online: true, clockIsRight: true });
});

it("knows a server by whoever linked it last, and lets go of what went elsewhere", async () => {
  const [here, there] = await pair();
  const server = await market.server(await market.party());
  const online = (one: One): boolean | undefined => one.world.services.index.get(server.id)?.online;
  await there.fleet.follow();
  here.link(server.id);
  await here.fleet.write();
  await there.reads();
  expect([there.fleet.isElsewhere(server.id), online(there)]).toEqual([true, true]);
  there.link(server.id);
  await there.fleet.write();
  await here.reads();
  expect(here.told).toEqual([`let go ${server.id}`]);
  // the link that it let go of is another's since
  await here.fleet.write();
  expect(await here.fleet.addressOf(server.id)).toBe("127.0.0.1:1");
  there.held.delete(server.id);
  there.fleet.unlinked(server.id);
  await there.fleet.write();
  await here.reads();
  await there.reads();
  expect([here, there].map((one) => [one.fleet.isElsewhere(server.id), online(one)])).toEqual([
    [false, false],
    [false, false],
  ]);
});

it("counts no link of a broker that is silent, and begins anew where it was forgotten itself", async () => {
  const [here, there] = await pair();
  const server = await market.server(await market.party());
  await here.fleet.follow();
  there.link(server.id);
  await there.fleet.write();
  await here.reads();
  expect(here.fleet.isElsewhere(server.id)).toBe(true);
  await heardFor(there, -5_000);
  await here.fleet.beat();
  expect([here.fleet.isElsewhere(server.id), here.world.services.index.get(server.id)?.online]).toEqual([false, false]);
  await there.fleet.beat();
  await heardFor(there, AN_HOUR);
  await here.fleet.beat();
  expect(here.fleet.isElsewhere(server.id)).toBe(true);
  // whoever came back lately forgets nobody: it may have been away itself
  await heardFor(there, -AN_HOUR - 70_000);
  await here.fleet.tidy();
  await here.fleet.beat();
  for (here.now = 1_000; here.now <= 60_000; here.now += 1_000) await here.fleet.beat();
  await here.fleet.tidy();
  expect((await pool.query("select id from broker")).rows).toEqual([{ id: here.fleet.id }]);
  expect(there.told).toEqual([]);
  await there.fleet.beat();
  expect(there.told).toEqual(["drop all"]);
  await there.fleet.write();
  await here.fleet.beat();
  await here.fleet.follow();
  expect(here.fleet.isElsewhere(server.id)).toBe(true);
});

it("skips no note of a transaction that began before what was read already", async () => {
  const [, other] = await pair();
  const client = await pool.connect();
  await client.query("begin");
  await client.query('insert into note (id, broker, notes) values (\'slow\', \'third\', \'[{"about": "key", "key": "slow"}]\')');
  await pool.query('insert into note (id, broker, notes) values (\'fast\', \'third\', \'[{"about": "key", "key": "fast"}]\')');
  await other.reads();
  expect(other.told).toEqual([]);
  await client.query("commit");
  client.release();
  await other.reads();
  expect(other.told.toSorted()).toEqual(["cut fast", "cut slow"]);
});

it("hints at what it wrote where others run, and at nothing where it is alone", async () => {
  const server = await market.server(await market.party());
  const alone = new One();
  await alone.fleet.join("127.0.0.1:1");
  alone.link(server.id);
  await alone.fleet.write();
  expect(alone.hints).toBe(0);
  await new One().fleet.join("127.0.0.1:2");
  await alone.fleet.beat();
  alone.fleet.unlinked(server.id);
  await alone.fleet.write();
  expect(alone.hints).toBe(1);
});

it("leaves with its own links only", async () => {
  const [here, there] = await pair();
  const [mine, theirs] = [await market.server(await market.party()), await market.server(await market.party())];
  here.link(mine.id);
  there.link(theirs.id);
  await here.fleet.write();
  await there.fleet.write();
  await there.fleet.leave();
  await here.fleet.beat();
  await heardFor(here, AN_HOUR);
  await here.fleet.follow();
  const third = new One();
  await third.fleet.join("127.0.0.1:1");
  await third.fleet.follow();
  expect([mine, theirs].map(({ id }) => third.fleet.isElsewhere(id))).toEqual([true, false]);
});

it("keeps a note until all have read it, and no longer", async () => {
  const [here, there] = await pair();
  await market.party();
  for (here.now = 1_000; here.now <= 61_000; here.now += 1_000) await here.fleet.beat();
  await heardFor(there, AN_HOUR);
  const notes = async (): Promise<number> => (await pool.query("select id from note")).rows.length;
  await here.reads();
  await here.fleet.tidy();
  expect(await notes()).toBe(1);
  await market.party();
  for (const one of [here, there]) {
    await one.reads();
    await one.fleet.beat();
  }
  await here.fleet.tidy();
  expect(await notes()).toBe(1); // the last one stands until another is read
});

it("appends to the log by one at a time, and takes nothing from one whose term is over", async () => {
  const [here] = await pair();
  await market.party();
  const fleetStore = new FleetStore(pool);
  const placeOf = (id: string) => new SequencerPlace(fleetStore, id, () => 0);
  /** Whoever has it has it for long: how long a test takes is not what ends a term. */
  const held = () => pool.query("update duty set until = until + $1 where until > 0", [AN_HOUR]);
  const [one, other] = [placeOf(here.fleet.id), placeOf(newId())];
  const at = (place: SequencerPlace) => ({ ...market.services, place: () => place.take() });
  const size = async (): Promise<number | undefined> => (await store.logHead())?.size;
  await one.take();
  await held();
  expect(await sequence(at(one))).toBeGreaterThan(0);
  const before = await size();
  await market.party();
  expect(await sequence(at(other))).toBe(0);
  const late = await one.take();
  await pool.query("update duty set until = 0");
  const third = placeOf(newId());
  expect((await third.take())?.term).toBe((late?.term ?? 0) + 1);
  await held();
  expect(await sequence({ ...market.services, place: async () => late })).toBe(0);
  expect(await size()).toBe(before);
  expect(await sequence(at(third))).toBeGreaterThan(0);
});
