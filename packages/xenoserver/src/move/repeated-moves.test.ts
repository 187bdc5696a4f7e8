/** A lease that is moved again: after it stayed, back to where it began, and with what was said of it meanwhile. */
import { Network, Random, SimClock } from "@xenoservers/testkit";
import { beforeEach, describe, expect, it } from "vitest";
import { extensionNanos } from "@xenoservers/market";
import { LISTING, ROOM } from "../testing/test-server.ts";
import { twoServers, type TwoServers } from "../testing/two-servers.ts";

function simulated() {
  const random = new Random(1);
  const clock = new SimClock(1_800_000_000_000, random);
  return { clock, network: new Network(clock, random) };
}

let two: TwoServers;
beforeEach(async () => {
  two = await twoServers(simulated());
});

describe("a lease that is moved again", () => {
  it("goes back to the server where it began, at once, and on from there", async () => {
    const { first, second, market, lease, until } = two;
    expect(await two.hasMoved()).toBeNull();
    expect(await two.hasMoved(undefined, [second, first])).toBeNull();
    expect(market.lease(lease)).toMatchObject({ state: "open", server: first.server.id });
    expect(await two.hasMoved()).toBeNull();
    await until(() => market.lease(lease).state === "settled");
    expect(market.lease(lease).end).toMatchObject({ reason: "completed", billableMs: 100_000 });
  });

  it("goes to the server that had no room for it, once that has some", async () => {
    const { first, second, market, lease, until, clock } = two;
    void second.server.change({ listing: { ...LISTING, resources: { ...LISTING.resources, vcpu: 0 } }, room: ROOM });
    await clock.runUntil(clock.now() + 1_000);
    expect(await two.hasMoved()).toContain("the capacity is taken");
    void second.server.change({ listing: LISTING, room: ROOM });
    await clock.runUntil(clock.now() + 1_000);
    expect(await two.hasMoved()).toBeNull();
    await until(() => market.lease(lease).state === "settled");
    expect(two.ran(first) + two.ran(second)).toBe(100_000);
  });

  it("goes where it was half carried before the connection was cut", async () => {
    const { network, second, lease, until } = two;
    for (const messages of [4, 6, 9]) {
      let left = messages;
      const went = two.moved((pipe) => ({
        ...pipe,
        close: () => pipe.close(),
        onClose: (handler) => pipe.onClose(handler),
        onMessage: (handler) => pipe.onMessage(handler),
        send(message) {
          pipe.send(message);
          if (--left === 0) for (const each of [...network.pipes]) each.cut();
        },
      }));
      await until(() => went.why !== undefined);
      if (went.why === null) break;
      await until(() => second.stage(lease) !== "taking");
      await until(() => two.first.server.moves.problems().get(lease) === null);
    }
    expect(await two.hasMoved(), two.lines()).toBeNull();
  });

  it("runs as long as its customer has bought while it was on its way", async () => {
    const { market, second, lease, until, clock } = two;
    // what is filed before the move is told to the server that had it
    market.instead = (document) => {
      if (document.kind === "takeover" && market.lease(lease).lastAmendment === null) extended();
      return null;
    };
    function extended(): void {
      market.pushes = false;
      const { durationMsMax, holdNanos, id, lastAmendment } = market.lease(lease);
      const said = { lease, durationMsMax: durationMsMax + 60_000, previous: lastAmendment ?? id };
      const extension = market.file(market.sign(market.customer.signer, "extension", { ...said, party: market.customer.party }));
      const more = BigInt(holdNanos) + extensionNanos(market.lease(lease), said.durationMsMax);
      market.issue("amendment", { ...said, extension: extension.envelope, holdNanos: more.toString(), at: clock.now() });
      market.pushes = true;
    }
    expect(await two.hasMoved()).toBeNull();
    await until(() => second.stage(lease) === "running");
    await clock.runUntil(clock.now() + 10_000);
    const record = await second.record(lease);
    expect(record?.facts.map(({ envelope }) => envelope.payloadType)).toContain("application/vnd.xenoservers.amendment.v1+json");
  });
});
