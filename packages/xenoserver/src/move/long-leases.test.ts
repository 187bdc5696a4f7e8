/** Moves of a lease that ran for days: its log goes in parts, each checked as it comes, through a real channel. */
import { Network, Random, SimClock } from "@xenoservers/testkit";
import { lastClaimOf } from "@xenoservers/market";
import { signDocument } from "@xenoservers/protocol";
import { nodeCrypto } from "@xenoservers/protocol/node";
import type { Pipe } from "@xenoservers/protocol/link";
import { beforeEach, expect, it } from "vitest";
import { cases } from "../../../../test/thorough.ts";
import { twoServers, type TwoServers } from "../testing/two-servers.ts";

/** As many as a lease of two days and a half has; fewer where a person waits. */
const CLAIMS = cases(1_000, 20_000);

let two: TwoServers;
beforeEach(async () => {
  const random = new Random(1);
  const clock = new SimClock(1_800_000_000_000, random);
  two = await twoServers({ clock, network: new Network(clock, random) });
});

/** As its server had claimed so often before, and its daemon had heard of none of it. */
function claimed(count: number): void {
  const { market, lease } = two;
  market.pushes = false;
  market.loggedAtOnce = 500;
  const own = { origin: market.origin, seen: null, lease, incarnation: lastClaimOf(market.lease(lease)).incarnation };
  const at = market.timers.now();
  for (let i = 0; i < count; i++) {
    const { id: previous, usedMs, sequence: last } = lastClaimOf(market.lease(lease));
    const said = { sequence: last + 1, usedMs, egressBytes: 0 };
    const claim = market.file(signDocument(nodeCrypto, market.serverSigner, "claim", { ...own, ...said, previous }), at);
    market.issue("claim-receipt", { lease, claim: claim.id, ...said, at }, at);
  }
  market.pushes = true;
}

/** Counts what whoever gives says. */
function counting(said: { bytes: number }): (pipe: Pipe) => Pipe {
  return (pipe) => ({
    close: () => pipe.close(),
    onClose: (handler) => pipe.onClose(handler),
    onMessage: (handler) => pipe.onMessage(handler),
    send(message) {
      said.bytes += message.length;
      pipe.send(message);
    },
  });
}

it(`moves with ${CLAIMS} claims, there and back, and is billed for what it ran`, async () => {
  const { market, first, second, lease, until } = two;
  claimed(CLAIMS);
  // its next claim does not follow: it reads the log, and goes on from there
  await until(() => lastClaimOf(market.lease(lease)).sequence > CLAIMS + 3);
  const said = { bytes: 0 };
  expect(await two.hasMoved(counting(said)), two.lines()).toBeNull();
  expect(market.lease(lease).server).toBe(second.server.id);
  expect(said.bytes).toBeGreaterThan(CLAIMS * 2 * 300);
  // what is kept of them is what the last ones say
  const record = (await second.record(lease))!;
  expect(record.facts.length).toBeLessThan(100);
  await until(() => first.stage(lease) === undefined);
  expect(await two.hasMoved(undefined, [second, first]), two.lines()).toBeNull();
  await until(() => market.lease(lease).state === "settled");
  expect(two.ran(first) + two.ran(second)).toBe(100_000);
  expect(market.lease(lease).end).toMatchObject({ reason: "completed", billableMs: 100_000 });
});

it("does not move where its log leaves something out, and runs on", async () => {
  const { market, first, second, lease } = two;
  const { logged } = market;
  let leavesOut = true;
  claimed(60);
  await two.until(() => lastClaimOf(market.lease(lease)).sequence > 63);
  market.logged = async (...asked) => {
    const page = await logged(...asked);
    return page && leavesOut ? { ...page, documents: page.documents.filter((_, i) => i !== 20) } : page;
  };
  expect(await two.hasMoved()).toContain("the other server does not take it: its log does not follow: claim ");
  expect([first.stage(lease), second.stage(lease)]).toEqual(["running", undefined]);
  expect((await first.record(lease))?.guest?.stands).toBeNull();
  leavesOut = false;
  expect(await two.hasMoved()).toBeNull();
});
