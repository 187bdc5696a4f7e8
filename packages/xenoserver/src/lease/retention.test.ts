/** What stays of an ended lease, and for how long: as long as anybody may still ask. */
import { Random, SimClock } from "@xenoservers/testkit";
import { isOfKind, type Kind, type Payload } from "@xenoservers/protocol";
import { traceWithinMs } from "@xenoservers/market";
import type { Timers } from "@xenoservers/protocol/link";
import { beforeEach, expect, it } from "vitest";
import { FakeCustomer, fakeJob } from "../testing/fake-customer.ts";
import { FakeMarket, TIMINGS } from "../testing/fake-market.ts";
import { TestServer } from "../testing/test-server.ts";

const DAY_MS = 86_400_000;
const START = 1_800_000_000_000;
const LONG_WINDOW = { ...TIMINGS, disputeWindowMs: 3 * DAY_MS };
/** Broker and server need not have the same time. */
const SLACK_MS = 120_000;

let clock: SimClock;
let market: FakeMarket;
let test: TestServer;

const passing = (ms: number): Promise<void> => clock.runUntil(clock.now() + ms);
const handedIn = <K extends Kind>(kind: K): Payload<K>[] => market.received.flatMap((each) => (isOfKind(each, kind) ? [each.payload] : []));
const keeps = async (lease: string): Promise<boolean> => (await test.record(lease)) !== undefined;

/** A completed lease whose doubts may come for three days. */
async function settled(): Promise<string> {
  const job = fakeJob(["run", 1_000, 0, "x"]);
  const lease = market.place({ jobHash: job.jobHash, timings: LONG_WINDOW });
  void new FakeCustomer(market, lease, job, "signs").attach();
  await clock.runUntil(clock.now() + 120_000, () => market.leases.get(lease)?.state === "settled");
  expect(market.lease(lease).end).toMatchObject({ reason: "completed" });
  await passing(1_000);
  return lease;
}
const ask = (lease: string, step: string | null = "1000000000"): void => {
  market.file(market.sign(market.customer.signer, "trace-request", { lease, party: market.customer.party, step }));
};

/** Of the room that the server under test has. */
const room = { keptBytesMax: 0, keptBytesOfOneMax: 1e9, leftFreeBytes: 0, freeBytes: async () => 1e9, letGoOfCaches: async () => {} };

it("lets go of what nobody may doubt any more where room is wanted, before its time", async () => {
  await test.server.close();
  test = new TestServer(market, { retainMs: 30 * DAY_MS, room });
  await test.server.start();
  await clock.runUntil(clock.now() + 10_000, () => handedIn("offer").length === 2);
  const lease = await settled();
  const refused = market.place({ jobHash: fakeJob(["run", 1_000, 0, "x"]).jobHash, timings: LONG_WINDOW });
  await passing(10_000);
  // its owner's proof is still wanted
  expect(await keeps(lease)).toBe(true);
  expect(test.said("a purchase order was refused")).toEqual([
    expect.objectContaining({ lease: refused, why: expect.stringContaining("disk.kept_gib") }),
  ]);
  await passing(LONG_WINDOW.disputeWindowMs + SLACK_MS);
  expect(await keeps(lease)).toBe(true);
  const next = await settled();
  expect([await keeps(lease), await keeps(next)]).toEqual([false, true]);
});

beforeEach(async () => {
  clock = new SimClock(START, new Random(1));
  market = new FakeMarket(clock);
  market.info = { ...market.info, timings: LONG_WINDOW };
  test = new TestServer(market);
  await test.server.start();
  await clock.runUntil(clock.now() + 10_000, () => handedIn("offer").length === 1);
});

it("answers a trace that is asked for at the last moment of a long window, and forgets when its doubt is over", async () => {
  const lease = await settled();
  await clock.runUntil((market.lease(lease).end?.at ?? 0) + LONG_WINDOW.disputeWindowMs - 1_000);
  expect(await keeps(lease)).toBe(true);
  ask(lease);
  await passing(60_000);
  expect(handedIn("trace")).toHaveLength(1);
  expect(market.lease(lease)).toMatchObject({ state: "disputed", trace: { document: expect.any(String) } });
  const { end, resources } = market.lease(lease);
  await passing(2 * traceWithinMs(BigInt(end?.billableFuel ?? 0), resources.memoryMib) - 60_000);
  expect(await keeps(lease)).toBe(true);
  await passing(SLACK_MS + 60_000);
  expect(await keeps(lease)).toBe(false);
});

it("keeps nothing longer than anybody may ask for it", async () => {
  const lease = await settled();
  await passing(LONG_WINDOW.disputeWindowMs - 60_000);
  expect(await keeps(lease)).toBe(true);
  await passing(SLACK_MS + 60_000);
  expect(await keeps(lease)).toBe(false);
});

it("asks the broker before it forgets: a request that was lost on the way is answered", async () => {
  const lease = await settled();
  market.pushes = false;
  await passing(LONG_WINDOW.disputeWindowMs - 60_000);
  ask(lease);
  await passing(SLACK_MS + 60_000);
  expect(handedIn("trace")).toHaveLength(1);
});

it("forgets nothing while no broker is heard, and goes on after a restart", async () => {
  const lease = await settled();
  const { logged } = market;
  market.logged = async () => null;
  await test.restart();
  await passing(LONG_WINDOW.disputeWindowMs + SLACK_MS + 600_000);
  expect(await keeps(lease)).toBe(true);
  market.logged = logged;
  await passing(SLACK_MS);
  expect(await keeps(lease)).toBe(false);
});

it("is asked for nothing where a referee runs the whole job", async () => {
  const lease = await settled();
  ask(lease, null);
  await passing(10_000);
  expect(market.lease(lease).state).toBe("disputed");
  expect(handedIn("trace")).toEqual([]);
});

it("forgets nothing because this machine's clock was set wrong, and all in its time once it is right again", async () => {
  let aheadMs = 0;
  const timers: Timers = {
    now: () => clock.now() + aheadMs,
    after: (ms, action) => clock.after(ms, action),
    random: () => clock.random(),
  };
  await test.server.close();
  test = new TestServer(market, { timers });
  await test.server.start();
  await clock.runUntil(clock.now() + 10_000, () => handedIn("offer").length === 2);
  const lease = await settled();
  const setClock = async (ms: number): Promise<void> => {
    aheadMs = ms;
    market.clock = { offsetMs: ms, errorMs: 5, allowedMs: 2_500 };
    await test.restart();
    await passing(600_000);
  };
  await setClock(30 * DAY_MS);
  expect(await keeps(lease)).toBe(true);
  await setClock(0);
  expect(await keeps(lease)).toBe(true);
  await passing(LONG_WINDOW.disputeWindowMs + SLACK_MS);
  expect(await keeps(lease)).toBe(false);
});
