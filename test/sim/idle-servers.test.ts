/** Servers that take no leases, cheaper than the honest one and with as much stake: orders find the honest one all the same. */
import { Network, Random, SimClock } from "@xenoservers/testkit";
import { COOL_FIRST_MS, TURNED_AWAY_MAX } from "@xenoservers/market";
import { nodeCrypto } from "@xenoservers/protocol/node";
import type { LinkClient, Pipe } from "@xenoservers/protocol/link";
import { LeaseSession, checkBound, openLink, signOrder } from "@xenoservers/sdk";
import { CHEATS } from "@xenoservers/xenoserver";
import { expect, it } from "vitest";
import { cases } from "../thorough.ts";
import { SimBroker } from "./broker.ts";
import { SimClient, jobOf } from "./customer.ts";
import { addServer } from "./server.ts";

const START = 1_800_000_000_000;
const HOUR_MS = 3_600_000;
const CUSTOMERS = 4;
const ORDERS = 16;

/** It lists, and never hears of a purchase order. */
const deaf = (pipe: Pipe): Pipe => ({
  ...bound(pipe),
  onMessage: (handler) => pipe.onMessage((message) => void (String(message).startsWith('{"t":"documents"') || handler(message))),
});

/** From then on nothing comes or goes any more, and its connections stand. */
const hanging =
  (clock: SimClock, from: number) =>
  (pipe: Pipe): Pipe => {
    const hangs = (): boolean => clock.now() >= from;
    return {
      ...bound(pipe),
      send: (message) => void (hangs() || pipe.send(message)),
      onMessage: (handler) => pipe.onMessage((message) => void (hangs() || handler(message))),
    };
  };

const bound = (pipe: Pipe): Pipe => ({
  send: (message) => pipe.send(message),
  close: () => pipe.close(),
  onMessage: (handler) => pipe.onMessage(handler),
  onClose: (handler) => pipe.onClose(handler),
});

it.each(Array.from({ length: cases(1, 5) }, (_, i) => i + 1))(
  "a server that never accepts, one that hangs and one that refuses everybody, seed %i",
  async (seed) => {
    const [random, clock] = [new Random(seed), new SimClock(START, new Random(seed ^ 0x5eed))];
    const network = new Network(clock, random);
    const crypto = { ...nodeCrypto, randomBytes: (length: number) => random.bytes(length) };
    const broker = new SimBroker({ seed, random, clock, network, crypto });
    await broker.start();
    const parts = { broker, clock, network, random, crypto, cheat: null, trace: () => {} };
    const servers = [
      await addServer(0, { ...parts, between: deaf }),
      await addServer(1, { ...parts, between: hanging(clock, START + 4_000) }),
      await addServer(2, { ...parts, cheat: CHEATS["blame-customer"]! }),
      await addServer(3, parts),
    ];
    for (const server of servers) server.start();
    await clock.runUntil(START + 5_000);

    const clients: { client: SimClient; link: LinkClient; sessions: LeaseSession[] }[] = [];
    for (let i = 0; i < CUSTOMERS; i++) {
      const identity = await broker.party(`customer ${i}`, 1_000_000_000n);
      const client = new SimClient({ broker, crypto, timers: clock, via: () => network.connect(`customer ${i}`) }, identity);
      const sessions: LeaseSession[] = [];
      const link = openLink(client, {
        onUp: () => sessions.forEach((session) => session.hint()),
        onEvent: (event) => sessions.forEach((session) => session.hint(event)),
      });
      client.viaLink = link;
      clients.push({ client, link, sessions });
    }

    const ends: { reason: string | undefined; server: string; attempt: number }[] = [];
    const order = async ({ client, link, sessions }: (typeof clients)[number]): Promise<void> => {
      const job = jobOf({ random, clock }, "run", true);
      const document = signOrder(client, await client.market(true), { ...WANTED, fuelMax: BigInt(job.spec.fuelMax) }, job.jobHash);
      const answer = await link.submit(document.envelope);
      if (!answer.ok) throw new Error(`${answer.code} ${JSON.stringify(answer.facts)}`);
      const { purchaseOrder, grants } = answer.answer as { purchaseOrder: unknown; grants: unknown[] };
      const session = new LeaseSession(client, checkBound(client, document, purchaseOrder, grants, client.brokerNow()), job, {}, link);
      sessions.push(session);
      const { end, server, attempt } = await session.settled();
      ends.push({ reason: end?.reason, server, attempt });
      session.close();
    };
    for (let i = 0; i < ORDERS; i++) {
      let failed: unknown = null;
      order(clients[i % CUSTOMERS]!).catch((error: unknown) => (failed = error));
      await clock.runUntil(clock.now() + HOUR_MS, () => ends.length > i || failed !== null);
      expect([failed, ends.length]).toEqual([null, i + 1]);
      await clock.runUntil(clock.now() + random.between(1_000, 10_000));
    }
    expect(broker.problem).toBeNull();
    const refused = ends.filter(({ reason }) => reason === "job-refused");
    expect(refused.every(({ server }) => server === servers[2]!.id)).toBe(true);
    // it cools down twice as long each time, and is tried again as often as that leaves time for
    const triesMax = Math.floor(Math.log2((clock.now() - START) / COOL_FIRST_MS + 1)) + 1;
    // a customer may bring what cannot be read: so many of them it takes to tell
    expect(refused.length).toBeLessThanOrEqual(TURNED_AWAY_MAX * triesMax);
    const others = ends.filter((end) => !refused.includes(end));
    expect(others.every(({ reason, server }) => reason === "completed" && server === servers[3]!.id)).toBe(true);
    const wasted = ends.reduce((sum, { attempt }) => sum + attempt - 1, 0);
    expect(wasted).toBeLessThanOrEqual(2 * triesMax);
    for (const { link } of clients) link.stop();
  },
);

const WANTED = {
  resources: { vcpu: 1, memoryMib: 256, diskMib: 64 },
  ...{ conditions: [], terms: "on-result" as const, assurance: "isolated" as const, on: "market" as const, maxPriceNanosPerHour: null },
  ...{ durationMsMax: 120_000, budgetNanos: 20_000_000n, label: "", replicas: 1 },
};
