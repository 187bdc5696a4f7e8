/** `xeno broker`: runs a market. */
import path from "node:path";
import { nodeCrypto } from "@xenoservers/protocol/node";
import { fetchMarket, fingerprintOf, pinsOf } from "@xenoservers/sdk";
import { pino } from "pino";
import type { BrokerInput } from "../input/verbs/operator.ts";
import { brokerFolder } from "../local/broker-folder.ts";
import { ownFolder } from "../local/local-socket.ts";
import { untilTold } from "../local/until-told.ts";
import { logLines, print, say } from "../output/terminal.ts";

export async function broker({ host, port, name, data, json, trustProxy, memory: memoryMib, ...input }: BrokerInput): Promise<void> {
  const { inner, innerAs, metricsHost, metricsPort, keepEvents: eventsMs, keepAnswers: answersMs, archive, archiveAfter } = input;
  const folder = brokerFolder(data);
  const facts: Record<string, unknown> = {};
  const lock = await ownFolder(folder, "a broker", async () => facts);
  const { startBroker } = await import("@xenoservers/xenocorp");
  const logger = pino({ level: process.env["LOG_LEVEL"] ?? "info" }, logLines);
  const databaseUrl = process.env["DATABASE_URL"];
  const running = await startBroker({
    ...{ dataFolder: folder, databaseUrl, host, port, name, trustProxy, memoryMib, logger },
    progress: (what) => say(what),
    retention: { eventsMs, answersMs },
    archive: archive === null ? undefined : { folder: path.resolve(archive), afterMs: archiveAfter },
    inner: { ...inner, ...(innerAs ? { announced: innerAs } : {}) },
    metrics: metricsPort === null ? undefined : { host: metricsHost, port: metricsPort },
  });
  facts["url"] = running.url;
  const market = await fetchMarket(running.url);
  say(`market       ${running.origin}`);
  say(`fingerprint  ${fingerprintOf(nodeCrypto, pinsOf(market))}`);
  if (running.metricsUrl !== null) say(`metrics      ${running.metricsUrl}`);
  print(json ? JSON.stringify({ url: running.url, origin: running.origin }) : running.url);
  await untilTold();
  say("closing");
  lock.close();
  await running.close();
}
