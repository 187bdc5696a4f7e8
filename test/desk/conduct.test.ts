/** A server that does not take orders stops getting them (rules of section O): what the desk does about it, and what it costs nobody else. */
import { beforeEach, describe, expect, it } from "vitest";
import {
  ATTEMPTS_MAX,
  COOL_FIRST_MS,
  FAILED_FETCHES_MAX,
  FAILED_FETCHES_MS,
  FETCH_CONDITION,
  OWNER_MISSES_FREE,
  TURNED_AWAY_MAX,
} from "@xenoservers/market";
import type { Payload } from "@xenoservers/protocol";
import type { Identity } from "@xenoservers/sdk";
import { OfferIndex } from "@xenoservers/xenocorp/parts";
import { Harness, type ServerParty } from "./harness.ts";
import { finish, orderOn } from "./judged.ts";

const CREDIT = 10_000_000n;
const ACCEPT_MS = 6_000;

let h: Harness;
let customer: Identity;
beforeEach(async () => {
  h = await Harness.open();
  customer = await h.party(CREDIT);
});

const priced = (vcpu: bigint, of: Partial<Payload<"offer">> = {}): Promise<ServerParty> =>
  h.server({
    price: {
      ...{ vcpuNanosPerSecond: `${vcpu}`, memoryGibNanosPerSecond: "0", diskGibNanosPerSecond: "0" },
      ...{ gigaFuelNanos: `${vcpu}`, egressGibNanos: "0" },
    },
    ...of,
  });
const place = async (over: Partial<Payload<"order">> = {}, by = customer): Promise<string> => {
  const { lease, code } = await h.submit(h.order(by, { terms: "on-result", ...over }));
  expect(code).toBeUndefined();
  return String(lease);
};
const placedOn = async (over: Partial<Payload<"order">> = {}, by = customer) => (await h.lease(await place(over, by))).server;
/** The lease that the order of this one has come to. */
async function latest(id: string) {
  const { orderId } = await h.lease(id);
  return h.lease((await h.store.load("order", [orderId])).get(orderId)?.data.lease ?? "");
}
const conductOf = async ({ id }: ServerParty) => (await h.store.load("server", [id])).get(id)?.data.conduct;
const recordOf = async ({ owner: { party } }: ServerParty) => (await h.store.load("party", [party])).get(party)?.data.record;
const moneyOf = async (which: string, who = customer) => h.balance(`${who.account}/${which}`);
const exclusions = async () => (await h.submit(h.order(customer)))["excluded"];

describe("a server that lets an order lapse", () => {
  it("gets none for a while, twice as long each time, and is as good as new after a lease that it kept", async () => {
    const bad = await priced(10n);
    for (const times of [1, 2, 4]) {
      await place();
      await h.later(ACCEPT_MS);
      expect(await conductOf(bad)).toMatchObject({ coolUntil: h.now + times * COOL_FIRST_MS, reason: "not-accepted" });
      expect(await exclusions()).toEqual({ cooling: 1 });
      await h.later(times * COOL_FIRST_MS - 1);
      expect(await exclusions()).toEqual({ cooling: 1 });
      await h.later(1);
    }
    const lease = await place();
    await h.accept(bad, lease);
    await finish(h, customer, bad, lease);
    expect(await conductOf(bad)).toMatchObject({ misses: 0, coolUntil: 0 });
    await place();
    await h.later(ACCEPT_MS);
    expect(await conductOf(bad)).toMatchObject({ coolUntil: h.now + COOL_FIRST_MS });
  });

  it("has it in its record, beside its leases; the order goes on in the same change and costs nothing there", async () => {
    const [bad, good] = [await priced(10n), await priced(20n)];
    const lease = await place();
    await h.later(ACCEPT_MS);
    expect(await h.lease(lease)).toMatchObject({ server: bad.id, state: "lapsed" });
    expect(await latest(lease)).toMatchObject({ server: good.id, attempt: 2, state: "bound" });
    expect([await recordOf(bad), await recordOf(good)]).toMatchObject([
      { missed: 1, leases: 0 },
      { missed: 0, leases: 0 },
    ]);
    expect(await moneyOf("held")).toBe(BigInt((await latest(lease)).holdNanos));
    expect(await placedOn()).toBe(good.id);
  });

  it("is told apart from what other servers of its owner do, until they miss too", async () => {
    const good = await priced(99n);
    const one = await priced(1n);
    await place();
    await h.later(ACCEPT_MS);
    expect((await h.store.load("party", [one.owner.party])).get(one.owner.party)?.data.conduct).toMatchObject({ misses: 1 });
    expect(h.index.get(one.id)?.coolUntil).toBe(h.now + COOL_FIRST_MS);
    for (let i = 1; i <= OWNER_MISSES_FREE; i++) {
      await h.later(2 ** i * COOL_FIRST_MS);
      await orderOn(h, customer, one);
      await h.later(ACCEPT_MS);
    }
    const owner = (await h.store.load("party", [one.owner.party])).get(one.owner.party)?.data;
    expect(owner?.conduct).toMatchObject({ misses: OWNER_MISSES_FREE + 1, coolUntil: h.now + COOL_FIRST_MS });
    // an owner that misses more than it keeps comes after everybody else, whatever it asks
    await h.later(1_000 * COOL_FIRST_MS);
    await h.submit(good.offer({ sequence: 2 }));
    await h.submit(one.offer({ sequence: 2 }));
    expect(await placedOn()).toBe(good.id);
  });

  it("is known to every broker: what is read from the store says the same", async () => {
    const bad = await priced(10n);
    await place();
    await h.later(ACCEPT_MS);
    const index = new OfferIndex();
    await index.refresh(h.store, h.now);
    expect(index.get(bad.id)?.coolUntil).toBe(h.now + COOL_FIRST_MS);
    await h.submit(bad.offer({ sequence: 2 }));
    expect(h.index.get(bad.id)?.coolUntil).toBe(h.now + COOL_FIRST_MS);
  });
});

describe("an order", () => {
  it(`is tried on ${ATTEMPTS_MAX} servers, then it is over with its money back, and nothing is charged for it ever after`, async () => {
    for (let i = 0; i <= ATTEMPTS_MAX; i++) await priced(BigInt(i + 1));
    const lease = await place({ expiresAt: h.now + 600_000 });
    for (let attempt = 1; attempt <= ATTEMPTS_MAX; attempt++) {
      expect(await latest(lease)).toMatchObject({ attempt, state: "bound" });
      await h.later(ACCEPT_MS);
    }
    await h.later(600_000);
    expect(await latest(lease)).toMatchObject({ attempt: ATTEMPTS_MAX, state: "lapsed" });
    expect([await moneyOf("available"), await moneyOf("held")]).toEqual([CREDIT, 0n]);
  });

  it("that was withdrawn goes to no other server, is not charged, and is no server's miss", async () => {
    const [one, other] = [await priced(1n), await priced(2n)];
    const lease = await place();
    expect((await h.act(customer.signer, "stop", { lease, party: customer.party, reason: "" })).code).toBeUndefined();
    expect((await h.accept(one, lease)).code).toBe("too_late");
    await h.later(ACCEPT_MS);
    expect(await latest(lease)).toMatchObject({ id: lease, state: "lapsed" });
    expect([await moneyOf("available"), await moneyOf("held")]).toEqual([CREDIT, 0n]);
    for (const server of [one, other])
      expect([await recordOf(server), await conductOf(server)]).toMatchObject([{ missed: 0 }, { misses: 0 }]);
  });

  it("that an owner does not want goes on at once, and is its miss", async () => {
    const [one, other] = [await priced(1n), await priced(2n)];
    const lease = await place();
    await h.act(one.owner.signer, "stop", { lease, party: one.owner.party, reason: "" });
    expect(await latest(lease)).toMatchObject({ server: other.id, attempt: 2, state: "bound" });
    expect([await recordOf(one), await conductOf(one)]).toMatchObject([{ missed: 1 }, { misses: 1 }]);
  });

  it("whose next server costs more than there is left ends with its money back", async () => {
    const poor = await h.party(100_000n);
    await priced(1_000n);
    await priced(2_000n);
    const lease = await place({ terms: "by-interval", budgetNanos: "1000000" }, poor);
    await h.later(ACCEPT_MS);
    expect(await latest(lease)).toMatchObject({ id: lease, state: "lapsed" });
    expect([await moneyOf("available", poor), await moneyOf("held", poor)]).toEqual([100_000n, 0n]);
  });

  it("avoids other servers of an owner that let it lapse, where there is another owner", async () => {
    const one = await priced(1n);
    const third = await priced(3n);
    const second = await priced(2n);
    // the second server is of the first one's owner, as far as the index knows
    const known = h.index.get(second.id);
    if (known) known.owner = one.owner.party;
    const lease = await place();
    await h.later(ACCEPT_MS);
    expect(await latest(lease)).toMatchObject({ server: third.id });
  });
});

describe("an offer for nothing", () => {
  it("comes first only where a stake or a record speaks for it, or it is one's own", async () => {
    const [free, paid] = [await priced(0n), await priced(10n)];
    expect(await placedOn()).toBe(paid.id);
    const { party, signer } = free.owner;
    expect(await placedOn({}, free.owner)).toBe(free.id);
    const amountNanos = "1000000000";
    await h.act(h.operator, "credit", { party, amountNanos, source: "operator", reference: "", clientId: h.id() });
    await h.act(signer, "stake", { party, amountNanos, direction: "deposit", clientId: h.id() });
    expect(await placedOn()).toBe(free.id);
    await h.act(signer, "stake", { party, amountNanos, direction: "withdraw", clientId: h.id() });
    expect(await placedOn()).toBe(paid.id);
  });
});

describe("a server that turns everybody away", () => {
  it("gets no orders after several customers, and one customer cannot bring that about", async () => {
    const server = await priced(10n);
    const nothing = { reason: "job-refused", exitCode: null, fuel: "0", memoryHash: null } as const;
    const refuse = async (by: Identity) => {
      const lease = await place({}, by);
      await h.accept(server, lease);
      await finish(h, by, server, lease, nothing);
    };
    for (let i = 0; i < 2 * TURNED_AWAY_MAX; i++) await refuse(customer);
    expect(await conductOf(server)).toMatchObject({ misses: 0, coolUntil: 0 });
    for (let i = 1; i < TURNED_AWAY_MAX; i++) await refuse(await h.party(CREDIT));
    expect(await conductOf(server)).toMatchObject({ misses: 1, coolUntil: h.now + COOL_FIRST_MS, reason: "job-refused" });
    expect(await recordOf(server)).toMatchObject({ missed: 0, ownerFailures: 0 });
  });

  it("because its host fails cools down at once, and its customers pay nothing", async () => {
    const server = await priced(10n);
    const lease = await place();
    await h.accept(server, lease);
    await finish(h, customer, server, lease, { reason: "server-failed", exitCode: null, fuel: "0", memoryHash: null });
    expect(await exclusions()).toEqual({ cooling: 1 });
    expect((await h.lease(lease)).end).toMatchObject({ blame: "owner", dueNanos: "0" });
  });
});

describe("an image that its server is to fetch", () => {
  const machine: Partial<Payload<"order">> = {
    ...{ driver: "qemu", accel: "any", assurance: "isolated", terms: "by-interval", conditions: [FETCH_CONDITION] },
  };
  const offered: Partial<Payload<"offer">> = { drivers: ["qemu"], assurances: ["isolated"], accel: "emulated", vmEngine: "qemu" };
  const unfetched = { reason: "image-unfetched", exitCode: null, fuel: "0", memoryHash: null, engine: "qemu" } as const;
  const fail = async (server: ServerParty, by = customer) => {
    const lease = await place(machine, by);
    await h.accept(server, lease);
    await finish(h, by, server, lease, unfetched);
    return h.lease(lease);
  };
  const asked = async (by = customer, over: Partial<Payload<"order">> = {}) => h.submit(h.order(by, { ...machine, ...over }));

  it("goes to a server that fetches, and to no other", async () => {
    await priced(1n, { ...offered, fetches: false });
    expect((await asked())["excluded"]).toEqual({ "fetches=yes": 1 });
    const fetching = await priced(2n, { ...offered, fetches: true });
    expect(await placedOn(machine)).toBe(fetching.id);
  });

  it("costs nobody anything where it cannot be had, and its customer a wait where that happens again and again", async () => {
    const server = await priced(1n, { ...offered, fetches: true });
    const other = await h.party(CREDIT);
    const before = await moneyOf("available");
    const first = h.now;
    for (let i = 0; i < FAILED_FETCHES_MAX; i++)
      expect((await fail(server)).end).toMatchObject({ reason: "image-unfetched", blame: "nobody", dueNanos: "0" });
    expect([await moneyOf("available"), await moneyOf("held")]).toEqual([before, 0n]);
    expect(await recordOf(server)).toMatchObject({ ownerFailures: 0, missed: 0 });
    expect(await asked()).toMatchObject({ code: "fetches_failed", until: expect.any(Number) });
    // what it sends itself is taken as ever, and so are others
    expect((await asked(customer, { conditions: [] }))["code"]).toBeUndefined();
    expect((await asked(other))["code"]).toBeUndefined();
    await h.later(first + FAILED_FETCHES_MS - h.now + 60_000);
    expect((await asked())["code"]).not.toBe("fetches_failed");
  });

  it("is no way out for a server: who says so to customer after customer gets no orders for a while", async () => {
    const server = await priced(1n, { ...offered, fetches: true });
    for (let i = 0; i < TURNED_AWAY_MAX; i++) await fail(server, await h.party(CREDIT));
    expect(await conductOf(server)).toMatchObject({ misses: 1, reason: "image-unfetched" });
    expect((await asked())["excluded"]).toEqual({ cooling: 1 });
  });
});
