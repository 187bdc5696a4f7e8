/** When a server lists its machine, and when it does not: its clock, its owner's word. */
import { beforeEach, describe, expect, it } from "vitest";
import { Random, SimClock } from "@xenoservers/testkit";
import { wirePriceOf } from "@xenoservers/market";
import { isOfKind, type Kind, type Payload } from "@xenoservers/protocol";
import { fakeJob } from "./testing/fake-customer.ts";
import { FakeMarket } from "./testing/fake-market.ts";
import { LISTING, TestServer } from "./testing/test-server.ts";

const HOURS = 2 * 3_600_000;

let clock: SimClock;
let market: FakeMarket;
let test: TestServer;
const until = async (condition: () => boolean): Promise<void> => {
  await clock.runUntil(clock.now() + HOURS, condition);
  expect(condition(), `${condition}`).toBe(true);
};
const handedIn = (kind: Kind): number => market.received.filter((each) => isOfKind(each, kind)).length;

beforeEach(async () => {
  clock = new SimClock(1_800_000_000_000, new Random(1));
  market = new FakeMarket(clock);
  test = new TestServer(market);
});

describe("a machine whose clock is off", () => {
  it("is not listed, and its owner is told by how much and what to do, until it logs in with one that is right", async () => {
    market.clock = { offsetMs: HOURS, errorMs: 5, allowedMs: 2_500 };
    await test.server.start();
    await until(() => test.log.length > 0);
    await clock.runUntil(clock.now() + HOURS);
    expect(test.log.map(({ what }) => what)).toEqual([
      "not listed: this machine's clock is 2 h ahead of the market's; set it, by NTP: timedatectl set-ntp true",
    ]);
    expect(test.server.state).toMatchObject({ connected: true, clock: { offsetMs: HOURS, isRight: false } });
    expect(market.received).toEqual([]);
    market.clock = { offsetMs: -3, errorMs: 5, allowedMs: 2_500 };
    await test.restart();
    await until(() => handedIn("offer") === 1);
    expect(test.server.state).toMatchObject({ clock: { offsetMs: -3, isRight: true } });
  });
});

const offers = (): Payload<"offer">[] => market.received.flatMap((each) => (isOfKind(each, "offer") ? [each.payload] : []));
const refusals = (): unknown[] => test.said("a purchase order was refused").map(({ why }) => why);
const room = { keptBytesMax: 1e9, keptBytesOfOneMax: 1e9, leftFreeBytes: 0, freeBytes: async () => 1e9, letGoOfCaches: async () => {} };

describe("a drained machine", () => {
  it("is listed nowhere and takes no lease, whoever brings one, until that is undone", async () => {
    await test.server.start();
    await until(() => offers().length === 1);
    void test.server.drain();
    await until(() => handedIn("offer-withdrawal") === 1);
    market.place({ jobHash: fakeJob(["run", 1_000, 0, "x"]).jobHash });
    await until(() => refusals().length === 1);
    expect([refusals(), test.server.state.draining]).toEqual([["the server is not listed now"], true]);
    void test.server.undrain();
    await until(() => offers().length === 2);
    expect(test.server.state.draining).toBe(false);
    await clock.runUntil(clock.now() + 100);
    const lease = market.place({ jobHash: fakeJob(["run", 1_000, 0, "x"]).jobHash });
    await until(() => test.stage(lease) !== undefined);
  });

  it("is so from its start, where it was before", async () => {
    test = new TestServer(market, { draining: true });
    await test.server.start();
    await until(() => handedIn("offer-withdrawal") === 1);
    await clock.runUntil(clock.now() + HOURS);
    expect(offers()).toEqual([]);
  });
});

describe("what an owner wishes while the broker is away", () => {
  const passes = async (wish: Promise<void>): Promise<void> => {
    let isDone = false;
    void wish.then(() => (isDone = true));
    await until(() => isDone);
  };
  beforeEach(async () => {
    await test.server.start();
    await until(() => offers().length === 1);
  });

  it("holds at once, whether it is drained, not drained any more, or gives something else", async () => {
    market.goAway();
    await until(() => !test.server.state.connected);
    await passes(test.server.drain());
    expect(test.server.state.draining).toBe(true);
    await passes(test.server.undrain());
    await passes(test.server.change({ listing: LISTING, room }));
    expect([offers().length, handedIn("offer-withdrawal")]).toEqual([1, 0]);
    market.comeBack();
    await until(() => offers().length === 2);
  });

  it("also where the broker leaves before it has answered", async () => {
    market.instead = () => market.LATER;
    const drained = test.server.drain();
    await until(() => handedIn("offer-withdrawal") === 1);
    market.goAway();
    await passes(drained);
  });

  it("ends its guests, whose end is handed in once the broker is back", async () => {
    const lease = market.place({ jobHash: "11".repeat(32), terms: "by-interval" });
    await until(() => test.stage(lease) === "waiting");
    market.goAway();
    await until(() => !test.server.state.connected);
    await passes(test.server.stopNow());
    expect(test.stage(lease)).toBe("ended");
    market.comeBack();
    await test.restart();
    await until(() => market.lease(lease).end !== null);
    expect(market.lease(lease).end).toMatchObject({ reason: "owner-stop" });
  });
});

describe("a machine whose owner gives something else while it runs", () => {
  const dearer = { ...LISTING, price: { ...LISTING.price, vcpuNanosPerSecond: 2_000n }, resources: { ...LISTING.resources, vcpu: 1 } };

  it("says so in a new offer at once, and holds new leases to it", async () => {
    await test.server.start();
    await until(() => offers().length === 1);
    void test.server.change({ listing: dearer, room });
    await until(() => offers().length === 2);
    expect(offers().map(({ price, resources }) => [price, resources.vcpu])).toEqual([
      [wirePriceOf(LISTING.price), 2],
      [wirePriceOf(dearer.price), 1],
    ]);
    market.place({ jobHash: fakeJob(["run", 1_000, 0, "x"]).jobHash });
    await until(() => test.server.state.leases.length === 1);
    market.place({ jobHash: fakeJob(["run", 1_000, 0, "x"]).jobHash });
    await until(() => refusals().length === 1);
    expect(refusals()).toEqual(["the capacity is taken"]);
  });

  it("still takes what was ordered at the price before, which it signed: nobody is made to miss an order by a new one", async () => {
    await test.server.start();
    await until(() => offers().length === 1);
    const { offer } = market;
    void test.server.change({ listing: dearer, room });
    await until(() => offers().length === 2);
    market.bind(offer);
    const lease = market.place({ jobHash: fakeJob(["run", 1_000, 0, "x"]).jobHash });
    await until(() => test.stage(lease) !== undefined);
    expect(refusals()).toEqual([]);
  });
});
