/** Two brokers on one database are one market (rules S1 to S5): the server is linked to one, the customer speaks with the other. */
import { copyFile, mkdir } from "node:fs/promises";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { API, signDocument } from "@xenoservers/protocol";
import { MarketClient } from "@xenoservers/sdk";
import { startBroker, type Broker } from "@xenoservers/xenocorp";
import { endless, moduleJob, saying } from "./jobs.ts";
import { orderAndFollow, startMarket, until, type TestMarket } from "./market.ts";
import { PATIENT } from "./settings.ts";

let market: TestMarket;
let there: Broker;
/** The market's customer, at the broker that its server is not linked to. */
let customer: MarketClient;

beforeAll(async () => {
  market = await startMarket();
  const dataFolder = path.join(market.folder, "there");
  await mkdir(dataFolder);
  await copyFile(path.join(market.folder, "broker", "broker-keys.json"), path.join(dataFolder, "broker-keys.json"));
  const databaseUrl = `postgres://xeno@/postgres?host=${encodeURIComponent(path.join(market.folder, "broker", "run"))}`;
  there = await startBroker({ dataFolder, databaseUrl, market: { timings: PATIENT } });
  customer = new MarketClient(there.url, market.customer.pins, market.customer.identity);
});
afterAll(async () => {
  await there.close();
  await market.close();
});

async function post(url: string, route: { path: string }, body: object): Promise<{ status: number; body: Record<string, unknown> }> {
  const answer = await fetch(new URL(route.path, url), {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body),
  });
  return { status: answer.status, body: (await answer.json()) as Record<string, unknown> };
}

describe("two brokers, one market", () => {
  it("a job is ordered, fed and fetched at one, and runs where the other holds the link", async () => {
    const run = await orderAndFollow(customer, await moduleJob(await saying("from afar\n")));
    expect(await run.end()).toMatchObject({
      stdout: "from afar\n",
      lease: { state: "settled", end: { reason: "completed", exitCode: 0, blame: "nobody" } },
    });
    expect((await market.customer.read("accounts")).balances).toEqual((await customer.read("accounts")).balances);
  });

  it("a stop that one hears ends the job at the other, and nobody is to blame for it but who said it", async () => {
    const run = await orderAndFollow(customer, await moduleJob(await endless()));
    await until(() => run.seen.stdout.includes("go"));
    await customer.act("stop", { lease: run.session.lease, party: customer.identity.party, reason: "enough" });
    const { lease, files } = await run.end();
    expect([lease.end, files]).toMatchObject([{ reason: "customer-stop", blame: "customer" }, { "out/kept": "kept" }]);
  });

  it("a challenge of one is answered at the other, once", async () => {
    const { party, signer } = customer.identity;
    const asked = await post(market.broker.url, API.challenge, {});
    const challenge = String(asked.body["challenge"]);
    const { envelope: login } = signDocument(customer.crypto, signer, "login", {
      origin: customer.pins.origin,
      seen: null,
      party,
      challenge,
    });
    const answered = await post(there.url, API.token, { login });
    expect(answered.body).toMatchObject({ party });
    for (const url of [market.broker.url, there.url])
      expect(await post(url, API.token, { login })).toMatchObject({ body: { error: { code: "bad_token" } } });
    const own = await fetch(new URL(API.accounts.path, market.broker.url), {
      headers: { authorization: `Bearer ${String(answered.body["token"])}` },
    });
    expect(own.status).toBe(200);
    const forged = `${challenge.slice(0, -1)}${challenge.endsWith("0") ? "1" : "0"}`;
    const { envelope } = signDocument(customer.crypto, signer, "login", {
      origin: customer.pins.origin,
      seen: null,
      party,
      challenge: forged,
    });
    expect((await post(there.url, API.token, { login: envelope })).body).toMatchObject({ error: { code: "bad_token" } });
  });

  it("both say that the server is online while one holds its link, and neither when nobody does", async () => {
    const online = async (): Promise<number[]> =>
      Promise.all(
        [market.customer, customer].map(async (client) => (await client.read("offers", { query: { driver: "wasm" } })).offers.length),
      );
    expect(await online()).toEqual([1, 1]);
    await market.cutLink();
    await until(async () => (await online()).every((count) => count === 0));
    await market.restoreLink();
    await until(async () => (await online()).every((count) => count === 1));
  });
});
