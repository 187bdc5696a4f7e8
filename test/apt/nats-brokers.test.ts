/** Two brokers on one database whose hints go by NATS: what the one hears, the other does, whatever becomes of nats-server. */
import { copyFile, mkdir } from "node:fs/promises";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { MarketClient } from "@xenoservers/sdk";
import { openStore, startBroker, type Broker } from "@xenoservers/xenocorp";
import { endless, moduleJob } from "../process/jobs.ts";
import { orderAndFollow, startMarket, until, type TestMarket } from "../process/market.ts";
import { PATIENT } from "../process/settings.ts";
import { subjectOf } from "../../packages/xenocorp/src/hints/nats-hints.ts";
import { NatsServer, missing, stranger } from "./nats-server.ts";

if (missing.length > 0) console.warn(`SKIPPED: two brokers with NATS, for ${missing.join(", ")} are not installed`);

describe.skipIf(missing.length > 0)("two brokers and nats-server", () => {
  let nats: NatsServer;
  let market: TestMarket;
  let there: Broker;
  let place: { dataFolder: string; databaseUrl: string };
  /** At the broker that the market's server is not linked to. */
  let customer: MarketClient;

  beforeAll(async () => {
    nats = await NatsServer.start();
    market = await startMarket({ nats: nats.place });
    const dataFolder = path.join(market.folder, "there");
    await mkdir(dataFolder);
    await copyFile(path.join(market.folder, "broker", "broker-keys.json"), path.join(dataFolder, "broker-keys.json"));
    const databaseUrl = `postgres://xeno@/postgres?host=${encodeURIComponent(path.join(market.folder, "broker", "run"))}`;
    place = { dataFolder, databaseUrl };
    there = await startBroker({ ...place, market: { timings: PATIENT }, nats: nats.place });
    customer = new MarketClient(there.url, market.customer.pins, market.customer.identity);
  });
  afterAll(async () => {
    await there?.close();
    await market?.close();
    await nats?.close();
  });

  /** A job that runs where the other broker holds the link is stopped by a word to this one. */
  async function stopped(): Promise<void> {
    const run = await orderAndFollow(customer, await moduleJob(await endless()));
    await until(() => run.seen.stdout.includes("go"));
    await customer.act("stop", { lease: run.session.lease, party: customer.identity.party, reason: "enough" });
    const { lease, files } = await run.end();
    expect([lease.end, files]).toMatchObject([{ reason: "customer-stop", blame: "customer" }, { "out/kept": "kept" }]);
  }

  /** What is done, while somebody counts the market's hints on the server. */
  async function hintsDuring(work: () => Promise<void>): Promise<number> {
    const eavesdropper = await stranger(nats.place);
    await eavesdropper.subscribe(subjectOf(there.origin, "notes"));
    try {
      await work();
      await until(() => eavesdropper.messages().length > 0);
      return eavesdropper.messages().length;
    } finally {
      eavesdropper.close();
    }
  }

  it("a stop that one hears ends the job at the other, and its hint went by the server", async () => {
    expect(await hintsDuring(stopped)).toBeGreaterThan(0);
  });

  it("it does while the server is killed, a broker starts then, and hints go by the server again once it is back", async () => {
    await nats.kill();
    await stopped();
    const third = await startBroker({ ...place, market: { timings: PATIENT }, nats: nats.place });
    await third.close();
    await nats.again();
    expect(await hintsDuring(stopped)).toBeGreaterThan(0);
  });

  it("the database carries no hint then", async () => {
    const listening = "select count(*)::int as n from pg_stat_activity where query like 'listen %'";
    const { pool, close } = await openStore(place);
    try {
      expect((await pool.query(listening)).rows).toEqual([{ n: 0 }]);
    } finally {
      await close();
    }
  });
});
