/** When a server lists its machine, and when it does not: its clock, its owner's word. */
import { beforeEach, describe, expect, it } from "vitest";
import { Random, SimClock } from "@xenoservers/testkit";
import { isOfKind, type Kind } from "@xenoservers/protocol";
import { FakeMarket } from "./testing/fake-market.ts";
import { TestServer } from "./testing/test-server.ts";

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
      "not listed: this machine's clock is 7200.0 s ahead of the market's; set it, by NTP: timedatectl set-ntp true",
    ]);
    expect(test.server.state).toMatchObject({ connected: true, clock: { offsetMs: HOURS, isRight: false } });
    expect(market.received).toEqual([]);
    market.clock = { offsetMs: -3, errorMs: 5, allowedMs: 2_500 };
    await test.restart();
    await until(() => handedIn("offer") === 1);
    expect(test.server.state).toMatchObject({ clock: { offsetMs: -3, isRight: true } });
  });
});
