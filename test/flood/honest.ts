/**
 * `honest.ts URL SEED`: an honest customer with a lease. For each number that it reads on stdin it does as many rounds of what customers do
 * and prints how long each took, in ms: its leases are read, and its server is asked something through the lease's channel.
 */
import { randomBytes } from "node:crypto";
import { createInterface } from "node:readline";
import { initiateChannel, type Channel } from "@xenoservers/protocol/channel";
import { MarketClient, fetchMarket, identityOf, openLink, pinsOf, placeOrder } from "@xenoservers/sdk";
import { until } from "../until.ts";
import { wanted } from "../process/market.ts";

const PAUSE_MS = 20;
const [url = "", seed = ""] = process.argv.slice(2);
const client = new MarketClient(url, pinsOf(await fetchMarket(url)), identityOf(Buffer.from(seed, "hex")));
const bound = await placeOrder(client, wanted(), "ab".repeat(32));
let channel: Channel | null = null;
let answered = (): void => {};

const link = openLink(client, { onDown: () => void (channel = null) });

/** Opened again where it was lost. */
async function ready(): Promise<Channel> {
  while (!channel) {
    await until(() => link.up);
    const opened = await initiateChannel(
      link.openChannel(bound.po.id),
      client.identity.channelKey,
      bound.offer.payload.channelKey,
      bound.po.id,
    ).catch(() => null);
    opened?.onMessage(({ t }) => {
      if (t === "problem") answered();
    });
    opened?.onClose(() => {
      channel = null;
      answered();
    });
    channel = opened;
  }
  return channel;
}

async function round(): Promise<number> {
  const start = performance.now();
  await client.read("leases", { query: { live: "true" } });
  const digest = randomBytes(32).toString("hex");
  for (let known = false; !known;) {
    const through = await ready();
    await new Promise<void>((resolve) => {
      answered = resolve;
      void through.send({ t: "want", digest, offset: 0, length: 1 });
    });
    known = channel !== null;
  }
  return performance.now() - start;
}

await ready();
console.log("ready");
for await (const line of createInterface({ input: process.stdin })) {
  const took: number[] = [];
  for (let i = 0; i < Number(line); i++) {
    took.push(await round());
    await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
  }
  console.log(JSON.stringify(took));
}
