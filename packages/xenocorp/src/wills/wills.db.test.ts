/** Last wills at brokers of one market, by a clock in hand: when one is filed, when it never is, and what is taken for none. */
import { afterAll, afterEach, beforeEach, describe, expect, it } from "vitest";
import type { Envelope, Signer } from "@xenoservers/protocol";
import type { Closing } from "@xenoservers/protocol/link";
import type { Pool } from "pg";
import { until } from "../../../../test/until.ts";
import { createTestDatabase, dropTestDatabases, leaveTestDatabases } from "../../../../test/database.ts";
import type { PartySession } from "../http/sessions.ts";
import { World, type Party, type Server } from "../http/world.fixture.ts";
import { createPostgresStore } from "../store/postgres.ts";
import { WillStore } from "./will-store.ts";
import { WILLS_PER_PARTY_MAX, WILL_AFTER_MS, Wills, type Sayer } from "./wills.ts";

const STEP_MS = 3_000;
const AN_HOUR = 3_3 * WILL_AFTER_MS;

let pool: Pool;
let world: World;
let customer: Party;
let server: Server;
let lease: string;
let filed: string[];

beforeEach(async () => {
  pool = await createTestDatabase();
  world = new World(createPostgresStore(pool));
  await world.start();
  customer = await world.party(10_000_000_000n);
  server = await world.server(await world.party());
  ({ lease } = await world.lease(customer, server));
  filed = [];
});
afterEach(async () => {
  await world.close();
  await leaveTestDatabases();
});
afterAll(dropTestDatabases);

const broker = (store: ConstructorParameters<typeof Wills>[0]["store"] = new WillStore(pool)): Wills =>
  new Wills({
    store,
    ...{ desk: () => world.desk, services: () => world.services },
    filed: (will, refused) => void filed.push(`${will.of === lease ? "it" : will.of} ${refused?.code ?? "done"}`),
  });

class Line implements Sayer {
  open = true;
  closed: Closing | null = null;
  close(why: Closing): void {
    this.closed = why;
  }
}

/** So long, with these brokers at work. */
async function pass(ms: number, ...brokers: readonly Wills[]): Promise<void> {
  for (const end = world.now + ms; world.now < end;) {
    world.now = Math.min(end, world.now + STEP_MS);
    for (const each of brokers) await each.run();
  }
}

async function sessionOf(signer: Signer, party = customer.id): Promise<PartySession> {
  const key = (await world.store.load("key", [signer.publicKey])).get(signer.publicKey)?.data;
  if (!key) throw new Error("no such key");
  return { by: "party", party, key };
}

const stopOf = (signer: Signer, { of = lease, party = customer.id, reason = "gone" } = {}): Envelope =>
  world.sign(signer, "stop", { lease: of, party, reason }).envelope;

async function say(
  at: Wills,
  line: Line,
  envelope: unknown = stopOf(customer.root),
  signer = customer.root,
  { party = customer.id, of = lease } = {},
) {
  const answer = await at.say(line, await sessionOf(signer, party), of, envelope);
  return answer.ok ? answer.answer : answer.code;
}

/** An order that waits: its server's room is this lease's. */
async function waits(): Promise<{ order: string; holder: string; full: Server }> {
  const full = await world.server(await world.party());
  const whole = { resources: { vcpu: 16, memoryMib: 64, diskMib: 1 }, expiresAt: world.now + 600_000 };
  const { lease: holder } = await world.lease(customer, full, whole);
  const conditions = [{ key: "server", op: "=" as const, value: full.id }];
  const { envelope } = world.sign(customer.root, "order", world.orderOf(customer, { ...whole, conditions }));
  const answer = await world.desk.submit(envelope, undefined, true);
  if (!answer.ok || !answer.answer["waiting"]) throw new Error(`it does not wait: ${JSON.stringify(answer)}`);
  return { order: String(answer.answer["order"]), holder, full };
}

const withdrawalOf = (order: string, { signer = customer.root, party = customer.id, reason = "gone" } = {}): Envelope =>
  world.sign(signer, "order-withdrawal", { order, party, reason }).envelope;
const orderRow = async (order: string) => (await world.store.load("order", [order])).get(order)?.data;

const stateOf = async (id = lease): Promise<string> => (await world.row(id)).state;
const rows = async (): Promise<number> => Number((await pool.query<{ count: string }>("select count(*) from will")).rows[0]?.count);
const stops = async (): Promise<number> => (await world.store.documentsOf(lease)).filter(({ kind }) => kind === "stop").length;

describe("a will", () => {
  it("is filed once, as the stop that it is, when its customer has been gone for a minute, and not while there", async () => {
    const [one, line] = [broker(), new Line()];
    expect(await say(one, line)).toEqual({ kept: true, afterMs: WILL_AFTER_MS });
    await pass(3 * WILL_AFTER_MS, one);
    expect([await stateOf(), filed]).toEqual(["open", []]);
    one.gone(line);
    await pass(WILL_AFTER_MS - STEP_MS, one);
    expect([await stateOf(), filed]).toEqual(["open", []]);
    await pass(WILL_AFTER_MS, one);
    expect([await stateOf(), filed, await rows(), await stops()]).toEqual(["stopping", ["it done"], 0, 1]);
    expect((await world.row(lease)).stop).toMatchObject({ reason: "customer-stop" });
    await pass(3 * WILL_AFTER_MS, one);
    expect([filed, await stops()]).toEqual([["it done"], 1]);
  });

  it("is no more once it is taken back, by the key that said it alone, or once its lease is over", async () => {
    const [one, line] = [broker(), new Line()];
    await say(one, line);
    const device = await world.key(customer, "device");
    await say(one, new Line(), null, device);
    expect(await rows()).toBe(1);
    expect(await say(one, line, null)).toEqual({ kept: false });
    one.gone(line);
    await pass(3 * WILL_AFTER_MS, one);
    expect([await stateOf(), await rows(), filed]).toEqual(["open", 0, []]);

    await say(one, line);
    await world.must(server.key, "result", await world.resultOf(lease, server));
    // its row goes though whoever said it is there
    await pass(2 * WILL_AFTER_MS, one);
    expect([await rows(), filed]).toEqual([0, []]);
  });

  it("of a link that flaps, or that comes to another broker after its own has died, waits for whoever says it again", async () => {
    const [one, other] = [broker(), broker()];
    const envelope = stopOf(customer.root);
    for (let i = 0; i < 5; i++) {
      const line = new Line();
      expect(await say(i % 2 ? one : other, line, envelope)).toMatchObject({ kept: true });
      await pass(WILL_AFTER_MS / 2, one, other);
      (i % 2 ? one : other).gone(line);
      await pass(WILL_AFTER_MS / 2, one, other);
    }
    const line = new Line();
    await say(one, line, envelope);
    await pass(2 * WILL_AFTER_MS, one, other);
    // from here on the first one is dead, with the link
    await pass(WILL_AFTER_MS / 2, other);
    await say(other, new Line(), envelope);
    await pass(3 * WILL_AFTER_MS, other);
    expect([await stateOf(), filed]).toEqual(["open", []]);
  });

  it("of a broker that has died with its link is filed by another", async () => {
    const [one, other] = [broker(), broker()];
    await say(one, new Line());
    await pass(2 * WILL_AFTER_MS, one, other);
    await pass(2 * WILL_AFTER_MS, other);
    expect([await stateOf(), filed]).toEqual(["stopping", ["it done"]]);
  });

  it("is filed by one of two brokers that find it due at once", async () => {
    const [one, other, line] = [broker(), broker(), new Line()];
    await say(one, line);
    one.gone(line);
    for (let i = 0; i < 30; i++) {
      world.now += STEP_MS;
      await Promise.all([one.run(), other.run()]);
    }
    expect([filed, await stops()]).toEqual([["it done"], 1]);
  });

  it("has all the time anew where no broker was there, or the one that is did not look", async () => {
    const envelope = stopOf(customer.root);
    const before = broker();
    await say(before, new Line(), envelope);
    world.now += AN_HOUR;
    const after = broker();
    await pass(WILL_AFTER_MS - STEP_MS, after);
    const line = new Line();
    await say(after, line, envelope);
    await pass(3 * WILL_AFTER_MS, after);
    after.gone(line);
    // it hung, as a machine that was asleep
    world.now += AN_HOUR;
    await pass(WILL_AFTER_MS - STEP_MS, after);
    expect([await stateOf(), filed]).toEqual(["open", []]);
    await pass(2 * STEP_MS, after);
    expect([await stateOf(), filed]).toEqual(["stopping", ["it done"]]);
  });

  it("has all the time anew after an outage of the database, whenever it began, whichever broker looks first", async () => {
    const store = new WillStore(pool);
    const line = new Line();
    const envelope = stopOf(customer.root);
    // what each of these asks the database for; a broker that nobody is linked to asks for little
    let isAway = false;
    const away = new Proxy(store, {
      get: (whole, name: keyof WillStore) =>
        isAway ? () => Promise.reject(new Error("away")) : (whole[name] as (...given: unknown[]) => unknown).bind(whole),
    });
    // a broker looks for this and that at times of its own
    for (let beforeMs = WILL_AFTER_MS; beforeMs < 2 * WILL_AFTER_MS; beforeMs += 2 * STEP_MS) {
      const [one, other] = [broker(away), broker(away)];
      await say(one, line, envelope);
      await pass(beforeMs, one, other);
      isAway = true;
      for (const end = world.now + 1.3 * WILL_AFTER_MS; world.now < end; world.now += STEP_MS)
        for (const each of [other, one]) {
          await each.run().catch(() => {});
          if (line.closed) one.gone(line);
        }
      isAway = false;
      await pass(STEP_MS, other, one);
      expect([beforeMs, await stateOf(), filed]).toEqual([beforeMs, "open", []]);
      line.closed = null;
    }
  });

  it("of a broker whose database says nothing sends whoever said it to another, too", async () => {
    const line = new Line();
    const cut = broker(new WillStore(pool, 50));
    await say(cut, line);
    await pass(WILL_AFTER_MS, cut);
    const holder = await pool.connect();
    try {
      await holder.query("begin");
      await holder.query("lock table will in access exclusive mode");
      for (let ms = 0; ms < WILL_AFTER_MS && !line.closed; ms += STEP_MS) {
        world.now += STEP_MS;
        await cut.run().catch(() => {});
      }
      expect(line.closed).toBe("unavailable");
    } finally {
      await holder.query("rollback");
      holder.release();
    }
  });

  it("of a broker that cannot reach its database sends whoever said it to another", async () => {
    let isAway = false;
    const store = new WillStore(pool);
    const putOff: WillStore["putOff"] = (leases, due) => (isAway ? Promise.reject(new Error("away")) : store.putOff(leases, due));
    const cut = broker({
      ...{ of: (id) => store.of(id), keep: (...will) => store.keep(...will), drop: (...of) => store.drop(...of), putOff },
      ...{ takeDue: (...when) => store.takeDue(...when), dropOver: (...of) => store.dropOver(...of) },
    });
    const line = new Line();
    await say(cut, line);
    await pass(WILL_AFTER_MS, cut);
    isAway = true;
    for (let ms = 0; ms < WILL_AFTER_MS; ms += STEP_MS) {
      world.now += STEP_MS;
      await cut.run().catch(() => {});
      if (line.closed) break;
    }
    expect(line.closed).toBe("unavailable");
    // there is time left to come to another
    expect((await store.takeDue(world.now, world.now, 1)).length).toBe(0);
  });
});

describe("a will of an order that waits", () => {
  it("withdraws it when its customer has been gone for a minute, and not while there", async () => {
    const { order } = await waits();
    const [one, line] = [broker(), new Line()];
    expect(await say(one, line, withdrawalOf(order), customer.root, { of: order })).toEqual({ kept: true, afterMs: WILL_AFTER_MS });
    await pass(2 * WILL_AFTER_MS, one);
    expect([(await orderRow(order))?.waiting, filed, await rows()]).toEqual([expect.anything(), [], 1]);
    one.gone(line);
    await pass(2 * WILL_AFTER_MS, one);
    expect(await orderRow(order)).toMatchObject({ waiting: null, refused: { code: "withdrawn" } });
    expect([filed, await rows()]).toEqual([[`${order} done`], 0]);
  });

  it("goes once the order is bound, and stops nothing of what it came to", async () => {
    const { order, holder, full } = await waits();
    const [one, line] = [broker(), new Line()];
    const envelope = withdrawalOf(order);
    await say(one, line, envelope, customer.root, { of: order });
    await world.must(full.key, "result", await world.resultOf(holder, full));
    await until(async () => !(await orderRow(order))?.waiting);
    const bound = (await orderRow(order))?.lease ?? "";
    expect(await stateOf(bound)).toBe("bound");
    // the same again, as a link that comes anew says it
    expect(await say(one, line, envelope, customer.root, { of: order })).toBe("wrong_state");
    await pass(WILL_AFTER_MS + STEP_MS, one);
    expect([await stateOf(bound), filed, await rows()]).toEqual(["bound", [], 0]);
  });

  it("is its customer's own withdrawal of that order, and no stop", async () => {
    const { order, holder } = await waits();
    const stranger = await world.party(1_000_000_000n);
    const [one, line] = [broker(), new Line()];
    const cases: [code: string, envelope: Envelope, signer?: Signer, party?: string][] = [
      ["not_yours", stopOf(customer.root, { of: holder })],
      ["not_yours", withdrawalOf(holder)],
      ["not_found", stopOf(customer.root, { of: order })],
      ["not_found", withdrawalOf(order, { signer: stranger.root, party: stranger.id }), stranger.root, stranger.id],
      ["not_yours", withdrawalOf(order), stranger.root, stranger.id],
    ];
    for (const [code, envelope, signer, party] of cases)
      expect(await say(one, line, envelope, signer, { of: order, ...(party === undefined ? {} : { party }) }), code).toBe(code);
    await world.must(customer.root, "order-withdrawal", { order, party: customer.id, reason: "" });
    expect(await say(one, line, withdrawalOf(order), customer.root, { of: order })).toBe("wrong_state");
    expect(await rows()).toBe(0);
  });
});

describe("what a key may when a will is filed counts", () => {
  it.each(["revoked", "expired"])("one that was %s since it signed stops nothing", async (how) => {
    const device = await world.key(customer, "device", how === "expired" ? { expiresAt: world.now + 30_000 } : {});
    const [one, line] = [broker(), new Line()];
    expect(await say(one, line, stopOf(device), device)).toMatchObject({ kept: true });
    if (how === "revoked") await world.must(customer.root, "key-revoke", { party: customer.id, key: device.publicKey, reason: "" });
    one.gone(line);
    await pass(2 * WILL_AFTER_MS, one);
    expect([await stateOf(), filed, await rows()]).toEqual(["open", [`it key_${how}`], 0]);
  });
});

describe("no will is", () => {
  it("what is no stop of this lease by whoever says it, who is its customer", async () => {
    const stranger = await world.party(1_000_000_000n);
    const reader = await world.key(customer, "ci", { scopes: ["read"] });
    const other = (await world.lease(customer, server)).lease;
    const extension = { lease, party: customer.id, durationMsMax: 7_200_000, previous: lease };
    const own = stopOf(customer.root);
    const [one, line] = [broker(), new Line()];
    const owner = server.owner;
    const cases: [code: string, envelope: unknown, signer?: Signer, party?: string][] = [
      ["bad_envelope", { payload: 1 }],
      ["bad_envelope", "stop"],
      ["bad_signature", { ...own, signatures: [{ ...own.signatures[0], sig: stopOf(customer.root, { reason: "x" }).signatures[0].sig }] }],
      ["body_too_large", { ...own, payload: own.payload + "A".repeat(8_192) }],
      ["not_yours", stopOf(customer.root, { of: other })],
      ["not_found", stopOf(stranger.root, { party: stranger.id }), stranger.root, stranger.id],
      ["not_found", stopOf(owner.root, { party: owner.id }), owner.root, owner.id],
      ["not_yours", own, stranger.root, stranger.id],
      ["not_yours", own, reader],
      ["key_not_allowed", stopOf(reader), reader],
      ["unknown_kind", world.sign(customer.root, "extension", extension).envelope],
    ];
    for (const [code, envelope, signer, party] of cases)
      expect(await say(one, line, envelope, signer, party === undefined ? {} : { party }), code).toBe(code);
    expect([await rows(), await stateOf()]).toEqual([0, "open"]);
  });

  it("of a lease that is over or stopped, nor a stop that was filed", async () => {
    const [one, line] = [broker(), new Line()];
    const envelope = stopOf(customer.root);
    await world.desk.submit(envelope);
    expect(await say(one, line, envelope)).toBe("wrong_state");
    expect(await say(one, line, stopOf(customer.root, { reason: "again" }))).toBe("wrong_state");
    expect(await rows()).toBe(0);
  });

  it("the same again of a lease that came to its end while its link was down", async () => {
    const [one, line] = [broker(), new Line()];
    const envelope = stopOf(customer.root);
    await say(one, line, envelope);
    one.gone(line);
    await world.must(server.key, "result", await world.resultOf(lease, server));
    expect([await stateOf(), await rows()]).toEqual(["settled", 1]);
    expect(await say(one, line, envelope)).toBe("wrong_state");
  });

  it("one more of a party that has as many as it may; the same again is, and those of leases that are over make room", async () => {
    const [one, line] = [broker(), new Line()];
    const envelope = stopOf(customer.root);
    await say(one, line, envelope);
    const fill = (of: string): Promise<unknown> =>
      pool.query(
        `insert into entity select 'lease', 'x' || i, 1, jsonb_build_object('state', $1::text) from generate_series(1, $2) i
           on conflict (kind, id) do update set data = excluded.data`,
        [of, WILLS_PER_PARTY_MAX - 1],
      );
    await fill("open");
    await pool.query("insert into will select 'x' || i, $1, 'k', '{}', $2 from generate_series(1, $3) i", [
      ...[customer.id, world.now + AN_HOUR, WILLS_PER_PARTY_MAX - 1],
    ]);
    expect(await say(one, line, envelope)).toMatchObject({ kept: true });
    lease = (await world.lease(customer, server)).lease;
    for (let i = 0; i < 3; i++) expect(await say(one, line)).toBe("rate_limited");
    expect(await rows()).toBe(WILLS_PER_PARTY_MAX);
    await fill("settled");
    expect(await say(one, line)).toMatchObject({ kept: true });
    expect(await rows()).toBe(2);
  });
});
