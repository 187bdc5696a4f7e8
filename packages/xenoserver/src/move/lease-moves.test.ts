/** A lease that moves between two real servers of one owner: a broker and a network of this package's own, on a simulated clock. */
import { Network, Random, SimClock } from "@xenoservers/testkit";
import { isOfKind, type Kind, type Payload } from "@xenoservers/protocol";
import { channelKeyPair } from "@xenoservers/protocol/channel";
import type { Pipe } from "@xenoservers/protocol/link";
import { nodeCrypto } from "@xenoservers/protocol/node";
import { beforeEach, describe, expect, it } from "vitest";
import { openTaker } from "./giving.ts";
import { TIMINGS } from "../testing/fake-market.ts";
import { LISTING, ROOM, type TestServer } from "../testing/test-server.ts";
import { twoServers, type TwoServers } from "../testing/two-servers.ts";

function simulated() {
  const random = new Random(1);
  const clock = new SimClock(1_800_000_000_000, random);
  return { clock, network: new Network(clock, random) };
}

let two: TwoServers;
let clock: TwoServers["clock"];
let network: TwoServers["network"];
let market: TwoServers["market"];
let first: TestServer;
let second: TestServer;
let lease: string;

beforeEach(async () => {
  two = await twoServers(simulated());
  ({ clock, network, market, first, second, lease } = two);
});

const until = (...asked: Parameters<TwoServers["until"]>): Promise<void> => two.until(...asked);
const moved = (...asked: Parameters<TwoServers["moved"]>) => two.moved(...asked);
const ran = (of: TestServer): number => two.ran(of);
const lines = (): string => two.lines();
const handedIn = <K extends Kind>(kind: K): Payload<K>[] => market.received.flatMap((each) => (isOfKind(each, kind) ? [each.payload] : []));

/** The connection is cut once so many messages have come or gone. */
function cutAfter(pipe: Pipe, messages: number): Pipe {
  let left = messages;
  const count = (): void => {
    if (--left === 0) for (const each of [...network.pipes]) each.cut();
  };
  return {
    close: () => pipe.close(),
    onClose: (handler) => pipe.onClose(handler),
    send(message) {
      pipe.send(message);
      count();
    },
    onMessage: (handler) =>
      pipe.onMessage((message) => {
        count();
        handler(message);
      }),
  };
}

/** Nothing comes or goes any more after so many messages, and nobody says so: a daemon that hangs. */
function silentAfter(pipe: Pipe, messages: number): Pipe {
  let left = messages;
  return {
    close: () => pipe.close(),
    onClose: (handler) => pipe.onClose(handler),
    send: (message) => void (left-- > 0 && pipe.send(message)),
    onMessage: (handler) => pipe.onMessage((message) => void (left-- > 0 && handler(message))),
  };
}

/** The guest has ended well in one place, was billed for what it ran, and nothing of it is left in the other. */
async function endsWell(): Promise<void> {
  await until(() => market.lease(lease).state === "settled");
  await until(() => [first, second].every((server) => ["over", undefined].includes(server.stage(lease))));
  expect(ran(first) + ran(second), lines()).toBe(100_000);
  expect(
    handedIn("result").filter(({ reason }) => reason !== "completed"),
    lines(),
  ).toEqual([]);
  const { end } = market.lease(lease);
  expect(end?.billableMs).toBe(100_000);
}

describe("a lease that moves", () => {
  it("goes there and back to where it was bound, and there again", async () => {
    for (const [from, to] of [
      [first, second],
      [second, first],
      [first, second],
    ] as const) {
      const went = moved((pipe) => pipe, [from, to]);
      await until(() => went.why !== undefined);
      expect(went.why, lines()).toBeNull();
      await until(() => to.stage(lease) === "running");
      await until(() => from.stage(lease) === undefined);
    }
    await endsWell();
  });

  it("goes on at the other server where it stood, ends there, and is paid for what it ran", async () => {
    const went = moved();
    await until(() => went.why !== undefined);
    expect(went.why, lines()).toBeNull();
    expect(market.lease(lease)).toMatchObject({ state: "open", server: second.server.id });
    await until(() => second.stage(lease) === "running");
    await until(() => first.stage(lease) === undefined);
    await until(() => market.lease(lease).state === "settled");
    expect(ran(first) + ran(second)).toBe(100_000);
    expect(handedIn("result")).toMatchObject([{ server: second.server.id, reason: "completed", exitCode: 3 }]);
    for (const server of [first, second]) expect(server.said("a document was not obeyed")).toEqual([]);
    expect(market.lease(lease).end).toMatchObject({ reason: "completed" });
  });

  it("stays, with why, where the other server takes no leases, is another, or has no room", async () => {
    const other = moved((pipe) => pipe, [first, second], `s_${"0".repeat(40)}`);
    await until(() => other.why !== undefined);
    expect(other.why).toContain("whoever answers there is not s_");
    void second.server.change({ listing: { ...LISTING, resources: { ...LISTING.resources, vcpu: 0 } }, room: ROOM });
    await clock.runUntil(clock.now() + 1_000);
    const full = moved();
    await until(() => full.why !== undefined);
    expect(full.why).toBe("the other server does not take it: the capacity is taken");
    void second.server.drain();
    await clock.runUntil(clock.now() + 1_000);
    const drained = moved();
    await until(() => drained.why !== undefined);
    expect(drained.why).toContain("the other server takes no leases now: it is drained");
    await until(() => market.lease(lease).state === "settled");
    expect([ran(first), ran(second)]).toEqual([100_000, 0]);
    // what is over and only kept for its customer is not to be moved
    expect([...first.server.moves.problems()]).toEqual([]);
  });

  it("stays, and its guest runs on, where the other server's own offer does not meet its order", async () => {
    const far = await twoServers(simulated(), {
      order: { conditions: [{ key: "region", op: "=", value: "eu" }] },
      second: { listing: { ...LISTING, labels: { region: "us" } } },
    });
    expect(await far.hasMoved()).toContain("does not meet the order (region=eu)");
    const weak = await twoServers(simulated(), {
      wrap: (driver) => ({ ...driver, sandbox: { strength: "weak", why: "" } }),
    });
    expect(await weak.hasMoved()).toContain("does not meet the order (not-allowed)");
    for (const { first: giver, lease: stays } of [far, weak]) {
      expect(giver.stage(stays)).toBe("running");
      // nothing was carried for it
      expect((await giver.record(stays))?.guest?.stands).toBeNull();
    }
  });

  it("is taken from nobody but by the key by which it is served", async () => {
    const record = (await first.record(lease))!;
    const [po] = record.facts;
    const [near, far] = network.pair("second");
    second.server.moves.answer(far);
    const channelKey = channelKeyPair(new Uint8Array(32).fill(77));
    const world = { crypto: nodeCrypto, signer: market.serverSigner, owner: market.owner.party, pins: () => market.pins, timers: clock };
    let why: string | null = null;
    openTaker({ ...world, channelKey }, near, { server: second.server.id, lease })
      .then((taker) =>
        taker.ask({ grants: record.grants, po: po!, acceptance: record.acceptance, move: null, work: record.work!, keptMib: null }),
      )
      .catch((error: Error) => (why = error.message));
    await until(() => why !== null);
    expect(why).toBe("the other server does not take it: whoever hands it over is not the server that has it");
    expect(second.stage(lease)).toBeUndefined();
  });

  it("that is stopped while it is carried ends where it is; while it may be elsewhere, where it is found to be", async () => {
    const went = moved((pipe) => cutAfter(pipe, 7));
    await until(() => went.why !== undefined);
    void first.server.stopNow();
    await until(() => market.lease(lease).state === "settled");
    expect(handedIn("result")).toMatchObject([{ reason: "owner-stop" }]);
  });
});

describe("whatever is cut, and whoever is killed", () => {
  it.each([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 20, 22, 24])(
    "the connection, after %i messages",
    async (messages) => {
      moved((pipe) => cutAfter(pipe, messages));
      await endsWell();
    },
  );

  it.each([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 12, 14, 15, 16, 17, 18, 20, 22, 24, 26])(
    "an end that hangs after %i messages is waited for no longer than two minutes",
    async (messages) => {
      const went = moved((pipe) => silentAfter(pipe, messages));
      await until(() => went.why !== undefined, 120_000);
      const isThere = market.lease(lease).server === second.server.id;
      expect(went.why === null, `${went.why}\n${lines()}`).toBe(isThere);
      await endsWell();
      const again = TIMINGS.graceMs;
      await clock.runUntil(clock.now() + again);
      expect([...second.server.state.leases].filter(({ stage }) => stage === "taking")).toEqual([]);
    },
  );

  it("the broker's log, which is not shown: the lease stays, and is claimed for as before", async () => {
    const { logged } = market;
    let wasTold = false;
    market.logged = async (id, after) => {
      if (wasTold && market.lease(id).state === "open") return null;
      const page = await logged(id, after);
      wasTold = page?.hasMore === false;
      return page;
    };
    const went = moved();
    await until(() => went.why !== undefined);
    expect(went.why).toBe("the broker does not show its log of the lease");
    const claims = handedIn("claim").length;
    await clock.runUntil(clock.now() + 3 * TIMINGS.claimIntervalMs);
    expect(handedIn("claim").length).toBeGreaterThan(claims + 1);
    await endsWell();
  });

  it("the broker's log just after the move: what was filed meanwhile is read once it is shown", async () => {
    const { logged } = market;
    const { party, signer } = market.customer;
    let failing = 2;
    market.logged = async (id, after) => {
      if (market.lease(id).server !== second.server.id || failing === 0) return logged(id, after);
      if (failing-- === 2) {
        // told to nobody: the link of the server that had it heard it, and has let go of it
        market.pushes = false;
        market.file(market.sign(signer, "stop", { lease: id, party, reason: "" }));
        market.pushes = true;
      }
      return null;
    };
    moved();
    await until(() => market.lease(lease).state === "settled");
    expect([failing, market.lease(lease).end?.reason]).toEqual([0, "customer-stop"]);
  });

  it.each([50, 120, 200, 300, 400, 600, 1_100, 1_500])("the first server, after %i ms", async (ms) => {
    moved();
    await clock.runUntil(clock.now() + ms);
    await first.restart();
    await endsWell();
  });

  it.each([50, 120, 200, 300, 400, 600, 1_100, 1_500])("the second server, after %i ms", async (ms) => {
    moved();
    await clock.runUntil(clock.now() + ms);
    for (const pipe of [...network.pipes]) pipe.cut();
    await second.restart();
    await endsWell();
  });

  it.each([50, 120, 200, 300, 400, 600])("the broker, away for some time after %i ms", async (ms) => {
    moved();
    await clock.runUntil(clock.now() + ms);
    market.goAway();
    await clock.runUntil(clock.now() + 12_000);
    market.comeBack();
    await endsWell();
  });
});
