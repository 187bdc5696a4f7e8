/** `xeno broker`: runs a market. */
import { nodeCrypto } from "@xenoservers/protocol/node";
import { assertFolderFor, fetchMarket, fingerprintOf, pinsOf } from "@xenoservers/sdk";
import { pino, type Logger } from "pino";
import type { BrokerInput } from "../input/verbs/operator.ts";
import { brokerFolder } from "../local/broker-folder.ts";
import { brokerSettings, type BrokerSettings, type OpenSettings, type Program } from "../local/broker-settings.ts";
import { assertLinux } from "../local/right-system.ts";
import { ownFolder } from "../local/local-socket.ts";
import { onHangup, rereadWords } from "../local/on-hangup.ts";
import { pageHere } from "../local/page-here.ts";
import { untilTold } from "../local/until-told.ts";
import { logLines, print, say } from "../output/terminal.ts";

type BrokerOptions = Parameters<Program["startBroker"]>[0];
type Broker = Awaited<ReturnType<Program["startBroker"]>>;
type SettingsReread = Awaited<ReturnType<OpenSettings["reread"]>>;

const levelOf = ({ log_level }: BrokerSettings): string => process.env["LOG_LEVEL"] ?? log_level;
const retentionOf = ({ keep_events, keep_answers }: BrokerSettings) => ({ eventsMs: keep_events, answersMs: keep_answers });

function optionsOf(settings: BrokerSettings): Omit<BrokerOptions, "dataFolder"> {
  const { name, host, port, trust_proxy, pages, memory, archive, archive_after, inner, inner_as, metrics_port, metrics_host } = settings;
  const { dashboard, nats, nats_credentials: credentials, nats_ca: caFile } = settings;
  return {
    ...{ host, port, name, trustProxy: trust_proxy, pages, memoryMib: memory, retention: retentionOf(settings) },
    page: dashboard ? pageHere : undefined,
    archive: archive === undefined ? undefined : { folder: archive, afterMs: archive_after },
    inner: { ...inner, ...(inner_as ? { announced: inner_as } : {}) },
    nats: nats && { ...nats, credentials, caFile },
    metrics: metrics_port === undefined ? undefined : { host: metrics_host, port: metrics_port },
  };
}

/** What can change while it runs does; the rest is named. Throws what is wrong with the file, and nothing has changed then. */
async function reread(running: Broker, settings: OpenSettings, logger: Logger): Promise<SettingsReread> {
  const done = await settings.reread();
  running.keep({ retention: retentionOf(settings.now), archiveAfterMs: settings.now.archive_after });
  logger.level = levelOf(settings.now);
  say(...rereadWords(done).map((line) => `xenocorp.toml reread: ${line}`));
  return done;
}

export async function broker({ data, json, config, ...typed }: BrokerInput): Promise<void> {
  assertLinux("broker");
  const folder = brokerFolder(data);
  const facts: Record<string, unknown> = {};
  await assertFolderFor(folder, "--data, XENO_HOME");
  const settings = await brokerSettings(folder, config, typed);
  if (settings.now.archive !== undefined) await assertFolderFor(settings.now.archive, "--archive");
  const logger = pino({ level: levelOf(settings.now) }, logLines);
  let running: Broker | null = null;
  const stopHearing = onHangup(() => {
    if (!running) return; // one that starts has just read it
    const failed = (error: unknown): void =>
      logger.error({ error: error instanceof Error ? error.message : String(error) }, "xenocorp.toml was not reread");
    void reread(running, settings, logger).catch(failed);
  });
  const lock = await ownFolder(folder, "a broker", async ({ command }) => {
    if (command !== "reread") return facts;
    if (!running) throw new Error("the broker is starting and has just read xenocorp.toml; ask again once it runs");
    return { ...facts, reread: await reread(running, settings, logger) };
  });
  const { startBroker } = await import("@xenoservers/xenocorp");
  running = await startBroker({
    ...optionsOf(settings.now),
    ...{ dataFolder: folder, databaseUrl: process.env["DATABASE_URL"], logger },
    progress: (what) => say(what),
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
  stopHearing();
}
