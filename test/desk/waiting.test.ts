/** Orders that wait for room: who gets it, in which turn, what ends the waiting, and what no side can do with it. */
import { beforeEach, describe, expect, it, vi } from "vitest";
import { COOL_FIRST_MS, GATHER_AFTER_MS, GATHER_FIRST_MS, WAITING_PER_PARTY_MAX } from "@xenoservers/market";
import type { Identity } from "@xenoservers/sdk";
import { Desk, LogView, OfferIndex, WaitingOrders } from "@xenoservers/xenocorp/parts";
import { Harness, type ServerParty } from "./harness.ts";
import { claiming, finish } from "./judged.ts";

const WHOLE = { vcpu: 2, memoryMib: 64, diskMib: 1 };
const HALF = { vcpu: 1, memoryMib: 64, diskMib: 1 };

let h: Harness;
let customer: Identity;
let server: ServerParty;

beforeEach(async () => {
  h = await Harness.open();
  customer = await h.party(10_000_000n);
  server = await h.server();
});

const order = (who: Identity, over: Parameters<Harness["order"]>[1] = {}) =>
  h.order(who, { resources: WHOLE, expiresAt: h.now + 600_000, ...over });
/** The whole server is taken. */
const fill = async (who = customer): Promise<string> => (await h.submit(order(who)))["lease"] as string;
const wait = async (who: Identity, over: Parameters<Harness["order"]>[1] = {}) => {
  h.now++;
  const document = order(who, over);
  return { document, id: document.id, answer: await h.submit(document, true) };
};
/** A lease that was never accepted is undone by its customer: its room comes back. */
const leave = (lease: string, who = customer) => h.act(who.signer, "stop", { lease, party: who.party, reason: "" });
const row = async (id: string) => (await h.store.load("order", [id])).get(id)!.data;
/** Whatever the desk still does by itself is done. */
const settled = async (): Promise<void> => {
  for (let i = 0; i < 50; i++) await new Promise((done) => setImmediate(done));
};
/** Another broker on the same store, which has read what is listed. */
async function another(): Promise<{ next: Desk; index: OfferIndex }> {
  const index = new OfferIndex();
  const next = new Desk(
    { ...h.desk.services, index, waiting: new WaitingOrders() },
    { toServer: () => {}, event: () => {}, keyRevoked: () => {} },
  );
  await index.refresh(h.store, h.now);
  index.setOnline(server.id, true);
  return { next, index };
}
const withdraw = (who: Identity, id: string) => h.act(who.signer, "order-withdrawal", { party: who.party, order: id, reason: h.id() });
const places = (of: string) => h.balance(`${of}/waiting`);

describe("a full market", () => {
  it("is busy, and not without a match; where nothing could ever take it, there is no match", async () => {
    await fill();
    expect(await h.submit(order(customer))).toMatchObject({ code: "busy", excluded: { capacity: 1 } });
    expect(await h.submit(order(customer, { resources: { ...WHOLE, vcpu: 3 } }))).toMatchObject({ code: "no_match" });
    expect(await h.submit(order(customer, { conditions: [{ key: "region", op: "=", value: "mars" }] }))).toMatchObject({
      code: "no_match",
    });
    h.index.setOnline(server.id, false);
    expect(await h.submit(order(customer, { resources: HALF }))).toMatchObject({ code: "busy", excluded: { offline: 1 } });
  });

  it("lets an order wait that says so, without holding anything, and opens it when room comes", async () => {
    const lease = await fill();
    const before = await h.balance(`${customer.account}/available`);
    const { id, answer, document } = await wait(customer);
    expect(answer).toMatchObject({ order: id, waiting: { until: h.now + 600_000 } });
    expect(await h.submit(document, true)).toEqual(answer);
    expect(await h.balance(`${customer.account}/available`)).toBe(before);
    expect(await places(customer.party)).toBe(-1n);
    await leave(lease);
    await settled();
    const bound = await row(id);
    expect(bound).toMatchObject({ attempt: 1, waiting: null, deadlineAt: null });
    expect((await h.lease(bound.lease!)).state).toBe("bound");
    expect([await places(customer.party), await places("market")]).toEqual([0n, 0n]);
    expect((await h.store.documentsOf(bound.lease!)).map(({ kind }) => kind)).toEqual(["purchase-order"]);
  });

  it.each([
    ["a server that comes", () => h.server()],
    ["a server that is back", async () => void h.index.setOnline(server.id, true)],
    ["an offer with more in it", () => h.submit(server.offer({ sequence: 2, resources: { vcpu: 4, memoryMib: 1024, diskMib: 1024 } }))],
  ])("gives room to who waits by %s", async (name, comes) => {
    if (name.includes("back")) h.index.setOnline(server.id, false);
    else await fill();
    const { id } = await wait(customer);
    expect((await row(id)).waiting).not.toBeNull();
    await comes();
    await settled();
    expect((await row(id)).lease).not.toBeNull();
  });

  it("takes no order in that nobody could ever take, nor one that cannot be paid for, nor a referee's", async () => {
    await fill();
    expect((await wait(customer, { resources: { ...WHOLE, vcpu: 3 } })).answer).toMatchObject({ code: "no_match" });
    expect((await wait(await h.party(1n))).answer).toMatchObject({ code: "insufficient_funds" });
    expect(h.waiting.size).toBe(0);
  });
});

describe("turns", () => {
  it("go from party to party, and within a party to the first that came", async () => {
    const lease = await fill();
    const others = [await h.party(10_000_000n), await h.party(10_000_000n)];
    const flood: Awaited<ReturnType<typeof wait>>[] = [];
    for (let i = 0; i < 20; i++) flood.push(await wait(customer));
    const first = await wait(others[0]!);
    const second = await wait(others[1]!);
    expect([flood[0]!, flood[19]!, first, second].map(({ id }) => h.waiting.aheadOf(id))).toEqual([0, 21, 1, 2]);
    const turns: string[] = [];
    for (let taken = lease; turns.length < 4;) {
      const who = (await h.lease(taken)).customer;
      await leave(
        taken,
        [customer, ...others].find(({ party }) => party === who),
      );
      await settled();
      const bound = [...flood, first, second].map(({ id }) => id).filter((id) => h.waiting.aheadOf(id) === null);
      const next = bound.find((id) => !turns.includes(id))!;
      turns.push(next);
      taken = (await row(next)).lease!;
    }
    expect(turns).toEqual([flood[0]!.id, first.id, second.id, flood[1]!.id]);
  });

  it("fill what has come free, all that fits at once", async () => {
    const lease = await fill();
    const [small, large, other] = [
      await wait(customer, { resources: HALF }),
      await wait(customer),
      await wait(customer, { resources: HALF }),
    ];
    await leave(lease);
    await settled();
    expect([small, large, other].map(({ id }) => h.waiting.aheadOf(id))).toEqual([null, 0, null]);
  });

  it("come before whoever asks in the same moment", async () => {
    const lease = await fill();
    const { id } = await wait(customer);
    const [, late] = await Promise.all([leave(lease), leave(lease).then(() => h.submit(order(customer)))]);
    await settled();
    expect(late).toMatchObject({ code: "busy" });
    expect((await row(id)).lease).not.toBeNull();
  });

  it("that lead to nothing are not given again and again", async () => {
    const lease = await fill();
    const key = vi.spyOn(h.crypto, "verify");
    const poor = await h.party(200_000n);
    for (let i = 0; i < 30; i++) await wait(poor, { budgetNanos: "100000", batch: null });
    // all of it is gone by the time their turn comes
    await h.act(poor.signer, "payout", { party: poor.party, amountNanos: "200000", destination: "x", clientId: h.id() });
    const { id } = await wait(customer);
    key.mockClear();
    await leave(lease);
    await settled();
    expect((await row(id)).lease).not.toBeNull();
    expect(key.mock.calls.length).toBeLessThan(60);
    key.mockRestore();
  });
});

it("costs no signature check more than an order that finds room, however often it looks", async () => {
  const check = vi.spyOn(h.crypto, "verify");
  const checks = async (act: () => Promise<unknown>): Promise<number> => {
    check.mockClear();
    await act();
    await settled();
    return check.mock.calls.length;
  };
  let lease = "";
  const direct = await checks(async () => (lease = await fill()));
  const leaving = await checks(() => leave(lease));
  lease = await fill();
  let waiting = { id: "" };
  const asked = await checks(async () => (waiting = await wait(customer)));
  // what comes and goes elsewhere, and is no room for it, costs nothing
  expect(await checks(async () => [1, 2, 3].forEach(() => h.index.refreshFree(h.store, [server.id])))).toBe(0);
  const opened = await checks(() => leave(lease));
  expect((await row(waiting.id)).lease).not.toBeNull();
  expect(asked + opened - leaving - direct).toBe(0);
  check.mockRestore();
});

describe("waiting ends", () => {
  it("with the reason where there is no money by then, and nobody behind it waits for that", async () => {
    const lease = await fill();
    const poor = await h.party(5_000_000n);
    const [first, second] = [await wait(poor), await wait(customer)];
    await h.act(poor.signer, "payout", { party: poor.party, amountNanos: "5000000", destination: "x", clientId: h.id() });
    await leave(lease);
    await settled();
    expect(await row(first.id)).toMatchObject({ lease: null, waiting: null, refused: { code: "insufficient_funds" } });
    expect((await row(second.id)).lease).not.toBeNull();
    expect([await places(poor.party), await places("market")]).toEqual([0n, 0n]);
  });

  it("with its key", async () => {
    const lease = await fill();
    const { id } = await wait(customer);
    await h.act(h.operator, "suspension", { party: customer.party, suspended: true, reason: "x", clientId: h.id() });
    await leave(lease);
    await settled();
    expect((await row(id)).refused).toMatchObject({ code: "suspended" });
  });

  it("with its time, and binds nothing later, whatever the broker did meanwhile", async () => {
    const lease = await fill();
    const { id } = await wait(customer, { expiresAt: h.now + 5_000 });
    await h.later(4_998);
    expect((await row(id)).waiting).not.toBeNull();
    h.now += 1;
    await leave(lease);
    await settled();
    await h.later(1_000);
    expect(await row(id)).toMatchObject({ lease: null, waiting: null, refused: { code: "busy" } });
    expect(await places(customer.party)).toBe(0n);
  });

  it("by its customer's word and nobody else's; room that comes later is not for it", async () => {
    const lease = await fill();
    const { id } = await wait(customer);
    const other = await h.party(1n);
    expect(await withdraw(other, id)).toMatchObject({ code: "not_found" });
    expect(await h.act(other.signer, "order-withdrawal", { party: customer.party, order: id, reason: "" })).toMatchObject({
      code: "not_yours",
    });
    expect((await withdraw(customer, id)).code).toBeUndefined();
    expect(await withdraw(customer, id)).toMatchObject({ code: "wrong_state", state: "over" });
    await leave(lease);
    await settled();
    expect(await row(id)).toMatchObject({ lease: null, refused: { code: "withdrawn" } });
    expect(await places(customer.party)).toBe(0n);
  });

  it("once: an order that was bound is not withdrawn", async () => {
    const lease = await fill();
    const { id } = await wait(customer);
    await leave(lease);
    await settled();
    expect(await withdraw(customer, id)).toMatchObject({ code: "wrong_state", state: "bound", lease: (await row(id)).lease });
  });
});

it("has one end where room and its customer's withdrawal come in the same moment", async () => {
  for (const isRoomFirst of [true, false]) {
    const lease = await fill();
    const { id } = await wait(customer);
    const both = isRoomFirst ? [() => leave(lease), () => withdraw(customer, id)] : [() => withdraw(customer, id), () => leave(lease)];
    const answers = await Promise.all(both.map((act) => act()));
    await settled();
    const { lease: bound, waiting, refused } = await row(id);
    expect(waiting).toBeNull();
    expect([bound !== null, refused?.code === "withdrawn"].filter(Boolean)).toHaveLength(1);
    expect(answers.filter(({ code }) => code === "wrong_state")).toHaveLength(bound === null ? 0 : 1);
    expect([await places(customer.party), await places("market")]).toEqual([0n, 0n]);
    if (bound !== null) await leave(bound);
  }
});

describe("what waits is bounded and kept", () => {
  it("by the books, for each party", async () => {
    await fill();
    for (let i = 0; i < WAITING_PER_PARTY_MAX; i++) await wait(customer);
    expect((await wait(customer)).answer).toMatchObject({ code: "queue_full", of: customer.party });
    const other = await h.party(10_000_000n);
    const { answer, id } = await wait(other);
    expect(answer.code).toBeUndefined();
    // whoever comes alone is next but one, however many another has
    expect(h.waiting.aheadOf(id)).toBe(1);
  });

  it("over the end of its broker, and is opened by the next once", async () => {
    const lease = await fill();
    const ids = [(await wait(customer)).id, (await wait(customer)).id];
    await leave(lease, customer);
    // this broker ends before anything else is done; the next knows what the store has
    const index = new OfferIndex();
    const waiting = new WaitingOrders();
    const next = new Desk(
      { ...h.desk.services, index, waiting, log: new LogView() },
      { toServer: () => {}, event: () => {}, keyRevoked: () => {} },
    );
    await waiting.refresh(h.store, h.crypto);
    await index.refresh(h.store, h.now);
    index.setOnline(server.id, true);
    await settled();
    await next.runTimers();
    const rows = await Promise.all(ids.map(row));
    expect(rows.filter(({ lease: bound }) => bound !== null)).toHaveLength(1);
    expect(rows[0]!.lease).not.toBeNull();
    expect(await h.balance(`${server.id}/vcpu`)).toBe(0n);
  });

  it.each([
    ["listed anew", async () => void (await h.desk.submit(server.offer({ sequence: 2 }).envelope))],
    ["taken off the list", () => h.act(server.signer, "offer-withdrawal", { owner: server.owner.party, server: server.id, sequence: 2 })],
  ])("meets no server as it was before another broker, or the one before this, has %s", async (how, changed) => {
    const { next } = await another();
    await changed();
    const answer = await next.submit(order(customer).envelope);
    expect(answer).toMatchObject(
      how === "listed anew" ? { ok: true, answer: { lease: expect.any(String) } } : { ok: false, code: "no_match" },
    );
  });

  it("fails alone where the server that it met cannot be looked up: what came with it is somebody else's", async () => {
    const other = await h.server();
    const { next, index } = await another();
    await h.desk.submit(server.offer({ sequence: 2 }).envelope);
    index.follow = () => Promise.reject(new Error("the store does not answer"));
    const [misled, beside] = await Promise.allSettled([
      next.submit(order(customer).envelope),
      next.submit(other.offer({ sequence: 2 }).envelope),
    ]);
    expect(misled).toMatchObject({ status: "rejected", reason: new Error("the store does not answer") });
    expect(beside).toMatchObject({ status: "fulfilled", value: { ok: true } });
  });

  it("waits again where its server does not take it, and not for ever at the same", async () => {
    const lease = await fill();
    const other = await h.server({ sequence: 1 });
    const held = await fill();
    const { id } = await wait(customer);
    await leave(lease);
    await settled();
    const first = await row(id);
    expect(first).toMatchObject({ attempt: 1, waiting: null });
    // never accepted: it lapses, and waits for the other one
    await h.later(60_000);
    await settled();
    expect(await row(id)).toMatchObject({ attempt: 1, waiting: { until: first.mayWaitUntil } });
    // the other one missed the order before, and rests
    expect((await h.lease(held)).state).toBe("lapsed");
    await h.later(COOL_FIRST_MS);
    await settled();
    expect(await row(id)).toMatchObject({ attempt: 2, triedServers: expect.arrayContaining([server.id, other.id]) });
    await h.later(60_000);
    await settled();
    expect((await row(id)).waiting).toBeNull();
    expect(await places(customer.party)).toBe(0n);
  });
});

describe("an order for much of a server", () => {
  const job = { resources: HALF, terms: "on-result", durationMsMax: 3_600_000 } as const;
  /** A job that its server has begun; null: there is no room. */
  async function begun(who: Identity): Promise<string | null> {
    const { lease } = await h.submit(order(who, job));
    if (typeof lease !== "string") return null;
    await h.accept(server, lease);
    await settled();
    return lease;
  }
  async function done(lease: string, who: Identity): Promise<void> {
    await finish(h, who, server, lease);
    await settled();
  }

  async function goesBy(ms: number, run: readonly string[]): Promise<void> {
    await claiming(h, server, run, ms);
    await h.desk.runTimers();
    await settled();
  }

  it("is not passed over for ever by small ones, whether those wait or have just asked", async () => {
    const other = await h.party(1_000_000_000n);
    const run = [(await begun(other))!, (await begun(other))!];
    const { id } = await wait(customer, { terms: "on-result" });
    // where a job ends there is another, which asks at once
    for (let i = 0; i < 5; i++) {
      await done(run.shift()!, other);
      run.push((await begun(other))!);
      expect((await row(id)).lease).toBeNull();
    }
    const small = await wait(other, job);
    await goesBy(GATHER_AFTER_MS, run);
    await done(run.shift()!, other);
    expect(await begun(other)).toBeNull();
    await done(run.shift()!, other);
    expect([(await row(id)).lease, (await row(small.id)).lease]).toEqual([expect.any(String), null]);
  });

  it("gathers room for a while only: those who wait have it then, and whoever asks meanwhile is told why he has none", async () => {
    const other = await h.party(10_000_000n);
    const run = [(await begun(other))!];
    const { id } = await wait(customer);
    await goesBy(GATHER_AFTER_MS, run);
    expect(await h.submit(order(other, job))).toMatchObject({ code: "busy", excluded: { reserved: 1 } });
    const small = await wait(other, job);
    await settled();
    expect((await row(small.id)).lease).toBeNull();
    await goesBy(GATHER_FIRST_MS, run);
    expect([(await row(id)).lease, (await row(small.id)).lease]).toEqual([null, expect.any(String)]);
  });
});
