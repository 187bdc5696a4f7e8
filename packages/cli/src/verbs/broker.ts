/** `xeno broker`: the market's operator. */
import path from "node:path";
import { MarketClient, fetchMarket, fingerprintOf, identityOf, pinsOf } from "@xenoservers/sdk";
import { nodeCrypto } from "@xenoservers/protocol/node";
import { pino } from "pino";
import { home } from "../input/home.ts";
import { ownFolder } from "../local/local-socket.ts";
import { print, printJson, say, UserError } from "../output/ui.ts";

export interface BrokerCommand {
  data?: string;
  host: string;
  port: string;
  name: string;
  json?: boolean;
}

export const brokerFolder = (data: string | undefined): string => path.resolve(data ?? path.join(home.data, "broker"));

/** Resolves when the program was told to end. */
export function untilTold(): Promise<string> {
  return new Promise((resolve) => {
    for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => resolve(signal));
  });
}

export async function broker(options: BrokerCommand): Promise<void> {
  const folder = brokerFolder(options.data);
  const facts: Record<string, unknown> = {};
  const lock = await ownFolder(folder, "a broker", async () => facts);
  const { startBroker } = await import("@xenoservers/xenocorp");
  const logger = pino({ level: process.env["LOG_LEVEL"] ?? "info" }, pino.destination({ dest: 2, sync: true }));
  const running = await startBroker({
    dataFolder: folder,
    databaseUrl: process.env["DATABASE_URL"],
    host: options.host,
    port: Number(options.port),
    name: options.name,
    logger,
    progress: (what) => say(what),
  });
  facts["url"] = running.url;
  const market = await fetchMarket(running.url);
  say(`market       ${running.origin}`);
  say(`fingerprint  ${fingerprintOf(nodeCrypto, pinsOf(market))}`);
  print(options.json ? JSON.stringify({ url: running.url, origin: running.origin }) : running.url);
  await untilTold();
  say("closing");
  lock.close();
  await running.close();
}

export async function brokerBackup(file: string, { data }: { data?: string }): Promise<void> {
  const { backup } = await import("@xenoservers/xenocorp");
  const written = await withFolder(data, (folder) => backup({ dataFolder: folder, databaseUrl: process.env["DATABASE_URL"] }, file));
  print(`${written.rows} rows, log of ${written.logSize} leaves, in ${file}; it holds the broker's keys: keep it secret`);
}

export async function brokerRestore(file: string, { data }: { data?: string }): Promise<void> {
  const { restore } = await import("@xenoservers/xenocorp");
  const done = await withFolder(data, (folder) => restore({ dataFolder: folder, databaseUrl: process.env["DATABASE_URL"] }, file));
  print(`restored ${done.rows} rows; the log goes on as epoch ${done.epoch}, which names the log it follows`);
}

export async function brokerCheck({ data, json }: { data?: string; json?: boolean }): Promise<void> {
  const { check } = await import("@xenoservers/xenocorp");
  const report = await withFolder(data, (folder) => check({ dataFolder: folder, databaseUrl: process.env["DATABASE_URL"] }));
  if (json) printJson(report);
  else {
    print(`books    ${report.balances} balances, ${report.problems.length === 0 ? "all in order" : "WRONG"}`);
    print(`log      ${report.logSize} leaves, ${report.pending} waiting`);
    for (const problem of report.problems) print(`problem  ${problem}`);
  }
  if (report.problems.length > 0) process.exitCode = 1;
}

/** The embedded database can be used by one program at a time. */
async function withFolder<T>(data: string | undefined, work: (folder: string) => Promise<T>): Promise<T> {
  const folder = brokerFolder(data);
  if (process.env["DATABASE_URL"] !== undefined) return work(folder);
  const lock = await ownFolder(folder, "a backup", async () => ({}));
  try {
    return await work(folder);
  } finally {
    lock.close();
  }
}

/** The operator's view through the API. */
export async function brokerOverview(url: string, { data, json }: { data?: string; json?: boolean }): Promise<void> {
  const { loadBrokerKeys } = await import("@xenoservers/xenocorp");
  const { operator } = await loadBrokerKeys(path.join(brokerFolder(data), "broker-keys.json"), "");
  if (!operator) throw new UserError("the operator's key is not in this folder");
  const market = await fetchMarket(url);
  const identity = { ...identityOf(new Uint8Array(32).fill(1)), signer: operator };
  const overview = await new MarketClient(url, pinsOf(market), identity).read("overview");
  if (json) printJson(overview);
  else for (const [key, value] of Object.entries(overview)) print(`${key.padEnd(22)} ${String(value)}`);
}
