/** A short flood, whose bounds are counts: what a broker takes of pings and half bodies, and what it still does for an honest customer. */
import type { ChildProcess } from "node:child_process";
import { afterAll, afterEach, beforeAll, expect, it } from "vitest";
import { MarketClient } from "@xenoservers/sdk";
import { Programs, kill9 } from "../process/programs.ts";
import { until } from "../until.ts";
import { HostileLink, dial, frame, pingFrame } from "./hostile-link.ts";
import { MIB_PER_1000_LINKS_MAX, residentMib, watch } from "./resident.ts";
import { household, many, stranger } from "./row.ts";

/** More than the broker's door gives a party at once, so that the last of them were waited for. */
const PINGS = 1_500;
const LINKS = 10;
const BODIES = 100;
const BODIES_AT_ONCE = 64;
const ROUNDS = 40;

let market: Programs;
let broker: ChildProcess;
let honest: MarketClient;
let idleMib: number;
const links: HostileLink[] = [];

beforeAll(async () => {
  market = await Programs.open();
  broker = await market.startBroker();
  honest = await stranger(market.url);
  for (let i = 0; i < ROUNDS; i++) await honest.read("leases", {});
  idleMib = await residentMib(broker.pid!);
});
afterEach(() => {
  for (const { socket } of links.splice(0)) socket.destroy();
});
afterAll(async () => {
  await kill9(broker);
  await market.remove();
});

/** Asks as an honest customer does; every answer must come. */
async function asks(): Promise<void> {
  for (let i = 0; i < ROUNDS; i++) expect(await honest.read("leases", {})).toMatchObject({ leases: [] });
}

it("pings beyond a party's tokens wait with their sender, over all of its links, and none of these is cut", async () => {
  const most = watch(broker.pid!);
  const one = await stranger(market.url);
  links.push(...(await many(LINKS, async (i) => (await HostileLink.open(market.url, household(i))).login(one))));
  for (const link of links) void link.pour(() => frame({ t: "ping" }));
  await asks();
  const pongs = (): number => links.reduce((sum, link) => sum + link.count("pong"), 0);
  // links that are heard as fast as they send owe so much that they are cut
  await until(() => pongs() > PINGS || links.some(({ closedFor }) => closedFor !== null));
  await asks();
  expect(links.map(({ closedFor }) => closedFor)).toEqual(links.map(() => null));
  expect(most() - idleMib).toBeLessThan(MIB_PER_1000_LINKS_MAX);
});

it("a party that reads none of its pongs has a bounded part of the broker's memory", async () => {
  const most = watch(broker.pid!);
  const one = await stranger(market.url);
  links.push(...(await many(LINKS, async (i) => (await HostileLink.open(market.url, household(i))).login(one))));
  for (const [i, link] of links.entries()) {
    link.deafen();
    void link.pour(i % 2 === 0 ? () => frame({ t: "ping" }) : pingFrame);
  }
  await asks();
  expect(most() - idleMib).toBeLessThan(MIB_PER_1000_LINKS_MAX);
});

it("bodies that are begun and never ended beyond a few are refused at once", async () => {
  const most = watch(broker.pid!);
  let refused = 0;
  const sockets = await many(BODIES, async (i) => {
    const socket = await dial(market.url, household(i));
    socket.on("data", (answer: Buffer) => void (refused += answer.toString().includes('"overloaded"') ? 1 : 0));
    const length = 250_000;
    socket.write(
      `POST /api/v1/documents HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: ${length}\r\n\r\n${"{".padEnd(length - 1)}`,
    );
    return socket;
  });
  await until(() => refused === BODIES - BODIES_AT_ONCE);
  await asks();
  for (const socket of sockets) socket.destroy();
  expect(refused).toBe(BODIES - BODIES_AT_ONCE);
  expect(most() - idleMib).toBeLessThan(MIB_PER_1000_LINKS_MAX);
});
