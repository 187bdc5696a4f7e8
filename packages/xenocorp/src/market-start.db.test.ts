/** A market's keys and its log belong together: whoever starts, checks or backs up with others is told, and nothing is signed or made. */
import { copyFile, mkdir, mkdtemp, readdir, rm } from "node:fs/promises";
import { createServer, type AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { pino } from "pino";
import { afterAll, beforeAll, expect, it } from "vitest";
import { backup, check } from "./backup.ts";
import { keysFile, makeBrokerKeys } from "./broker-keys.ts";
import { sequence } from "./log/sequencer.ts";
import { openStore, startBroker } from "./main.ts";
import { startEmbeddedPostgres, type EmbeddedPostgres } from "./store/embedded.ts";

let folder: string;
let postgres: EmbeddedPostgres;
let databaseUrl: string;
const at = (name: string) => ({ dataFolder: path.join(folder, name), databaseUrl });

beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), "xeno-start-"));
  postgres = await startEmbeddedPostgres(path.join(folder, "db"));
  const { host, user, database } = postgres.connection;
  databaseUrl = `postgres://${user}@/${database}?host=${encodeURIComponent(host)}`;
});
afterAll(async () => {
  await postgres.stop();
  await rm(folder, { recursive: true, force: true });
});

const head = async () => {
  const { store, close } = await openStore(at("reader"));
  return store.logHead().finally(close);
};

it("serves a database under its log's keys alone", async () => {
  const own = at("own");
  // a start that was cut off between the keys and the log is gone on with
  await mkdir(own.dataFolder, { recursive: true });
  const { origin } = await makeBrokerKeys(`${keysFile(own.dataFolder)}.new`, "first");
  const broker = await startBroker(own);
  expect(broker.origin).toBe(origin);
  while ((await sequence(broker.desk.services)) > 0);
  await broker.close();
  expect(await readdir(own.dataFolder)).toEqual(["broker-keys.json"]);
  const before = await head();
  expect(before?.size).toBeGreaterThan(0);

  // an empty folder
  const says = `the database holds the market ${origin}, whose keys are not in `;
  await expect(startBroker(at("empty"))).rejects.toThrow(says);
  for (const reading of [check(at("empty")), backup(at("empty"), path.join(folder, "b"))])
    await expect(reading).rejects.toThrow("there are no broker's keys in");
  expect(await readdir(at("empty").dataFolder)).toEqual([]);

  // another market's keys
  const other = at("other");
  await mkdir(other.dataFolder);
  await makeBrokerKeys(keysFile(other.dataFolder), "other");
  await expect(startBroker(other)).rejects.toThrow(`the database holds the market ${origin}, the keys are those of other/`);
  await expect(backup(other, path.join(folder, "b"))).rejects.toThrow(/no backup was made: put the market's broker-keys.json into/);
  expect((await check(other)).problems).toContainEqual(expect.stringContaining("the keys are those of other/"));
  expect(await readdir(folder)).not.toContain("b");
  expect(await head()).toEqual(before);

  // keys whose log is elsewhere
  await expect(startBroker({ dataFolder: own.dataFolder })).rejects.toThrow(/whose log is not in the database.*DATABASE_URL/);

  // a name that it does not have
  const said: string[] = [];
  const renamed = await startBroker({ ...own, name: "second", progress: (what) => void said.push(what) });
  await renamed.close();
  expect(said).toContain("this market is called first since its first start: the name second is for a new one, and changes nothing");

  // and a second broker with the same keys
  const twin = at("twin");
  await mkdir(twin.dataFolder);
  await copyFile(keysFile(own.dataFolder), keysFile(twin.dataFolder));
  const second = await startBroker(twin);
  expect(second.origin).toBe(origin);
  await second.close();
});

it("signs nothing over a log that was turned back, and says so where it is asked", async () => {
  const place = at("own");
  const broker = await startBroker(place);
  const { pool, close } = await openStore(at("reader"));
  try {
    const { log } = broker.desk.services;
    await pool.query("update log_head set size = size - 1");
    await expect(sequence(broker.desk.services)).rejects.toThrow(/this broker saw .*xeno broker restore/);
    const ready = await fetch(new URL("/readyz", broker.url));
    expect([ready.status, await ready.json()]).toEqual([503, { status: "not ready", why: log.stopped }]);
    const market = await fetch(new URL("/api/v1/market", broker.url));
    expect([market.status, await market.json()]).toMatchObject([503, { error: { code: "unavailable" } }]);
  } finally {
    await pool.query("update log_head set size = size + 1");
    await close();
    await broker.close();
  }
});

it("ends all that it began where it cannot start, and says why", async () => {
  const { port, free } = await takenPort();
  const lines: string[] = [];
  const logger = pino({}, { write: (line: string) => void lines.push(line) });
  await free();
  const starting = startBroker({ ...at("own"), logger, trustProxy: ["nginx"], inner: { host: "127.0.0.1", port } });
  await expect(starting).rejects.toThrow(/^"nginx" is no address and no subnet of a proxy/);
  // the door for the market's other brokers is closed after all that runs in a rhythm
  const again = await takenPort(port);
  await again.free();
  expect(lines).toEqual([]);
});

async function takenPort(wanted = 0): Promise<{ port: number; free(): Promise<void> }> {
  const server = createServer();
  await new Promise<void>((resolve, reject) => server.once("error", reject).listen(wanted, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  return { port, free: () => new Promise((resolve) => server.close(() => resolve())) };
}

it("makes no database where there is something else, and says what to do", async () => {
  const dataFolder = path.join(folder, "half");
  await mkdir(path.join(dataFolder, "postgres", "base"), { recursive: true });
  await expect(startBroker({ dataFolder })).rejects.toThrow(/half\/postgres is no whole database: `xeno broker restore` a backup/);
  expect(await readdir(path.join(dataFolder, "postgres"))).toEqual(["base"]);
  await mkdir(path.join(dataFolder, "postgres", "PG_VERSION")); // as what fails to be read
  await expect(startBroker({ dataFolder })).rejects.toThrow("EISDIR");
  expect((await readdir(path.join(dataFolder, "postgres"))).toSorted()).toEqual(["PG_VERSION", "base"]);
});
