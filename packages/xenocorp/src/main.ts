/** Wires a broker: database, keys, desk, log, timers, HTTP. */
import { mkdir } from "node:fs/promises";
import path from "node:path";
import { signDocument, toHex, type Signer } from "@xenoservers/protocol";
import { nodeCrypto } from "@xenoservers/protocol/node";
import { serveMetrics, type MetricsPlace } from "@xenoservers/protocol/metrics-page";
import { systemTimers, type Beat, type MarketInfo } from "@xenoservers/protocol/link";
import type { Pool, PoolConfig } from "pg";
import { pino, type Logger } from "pino";
import { ArchiveFolder } from "./archive/archive-folder.ts";
import { archiveJob } from "./archive/archive-job.ts";
import { publicKeysOf, type LoadedKeys } from "./broker-keys.ts";
import { MARKET_DEFAULTS, type MarketConfig } from "./config.ts";
import { databaseClock, type BrokerClock } from "./database-clock.ts";
import { askedTogether } from "./desk/asked-together.ts";
import { Desk } from "./desk/desk.ts";
import { OfferIndex } from "./desk/offer-index.ts";
import { WaitingOrders } from "./desk/waiting-orders.ts";
import type { Services } from "./desk/round.ts";
import { DEAF, FleetRun, type InnerOptions } from "./fleet/run.ts";
import type { Hints } from "./hints/hints.ts";
import { openNatsHints, type NatsPlace } from "./hints/nats-hints.ts";
import { postgresHints } from "./hints/postgres-hints.ts";
import { Door } from "./http/door.ts";
import { EventFeed } from "./http/event-feed.ts";
import { LinkHub } from "./http/link-hub.ts";
import type { PageSource } from "./http/page-files.ts";
import { createReads } from "./http/reads.ts";
import { createHttpServer } from "./http/server.ts";
import { Sessions } from "./http/sessions.ts";
import { createMetrics } from "./metrics/metrics.ts";
import { startLoops, type Kept, type Looped } from "./loops/all-loops.ts";
import { Faults } from "@xenoservers/protocol/faults";
import { RETENTION_DEFAULTS, type Retention } from "./loops/retention.ts";
import { describeMarket } from "./desk/market-info.ts";
import { LogView } from "./log/log-view.ts";
import { openLog } from "./log/sequencer.ts";
import { keysAtStart } from "./market-start.ts";
import { migrate } from "./migrations/migrate.ts";
import { startEmbeddedPostgres, type EmbeddedPostgres } from "./store/embedded.ts";
import { Elsewhere, assertDatabaseUrl, elsewhere, unreached } from "./store/database-url.ts";
import { hostsIn } from "./store/hosts.ts";
import { isLost } from "./store/lost.ts";
import { watchOwnDatabase } from "./store/own-database.ts";
import { openPool } from "./store/pool.ts";
import { createPostgresStore } from "./store/postgres.ts";
import type { Store } from "./store/store.ts";
import { WillStore } from "./wills/will-store.ts";
import { Wills } from "./wills/wills.ts";

const VERSION = "0.1.0";
/** What a new market is called where nothing else is said. */
const NEW_MARKET = "market.local";

export interface BrokerOptions {
  /** Keys and, when embedded, the database live here. */
  dataFolder: string;
  /** A PostgreSQL of one's own; absent = embedded. */
  databaseUrl?: string | undefined;
  host?: string;
  port?: number;
  name?: string | undefined;
  market?: Partial<Pick<MarketConfig, "currency" | "timings" | "mergeDelayMs" | "recoveryDelayMs" | "auditRoundMs">>;
  /** How long events and answers are kept; the same at all brokers of a market. */
  retention?: Partial<Retention>;
  /** Where leases go that are over and of which nothing was said for so long, the same folder at all brokers; absent: they stay here. */
  archive?: { folder: string; afterMs: number } | undefined;
  requestsPerSecond?: number;
  /** For everything that is buffered for others. */
  memoryMib?: number;
  /** Addresses or subnets of the proxies in front of it, whose word on who calls is believed. */
  trustProxy?: readonly string[];
  /** Origins of the web pages that may use it from a browser, or "*"; by default none. */
  pages?: readonly string[];
  /** The market's page, which it serves at its address; absent: a page without scripts. */
  page?: PageSource | undefined;
  /** Where the market's other brokers reach this one; by default on this machine only. */
  inner?: InnerOptions;
  /** What carries hints between the market's brokers, the same at all of them; absent: the database. */
  nats?: NatsPlace | undefined;
  /** How often either end of a link lets the other hear something, and after how many such times it is cut. */
  beat?: Beat;
  /** After what time nobody's word keeps a last will from being filed; the same at all brokers of a market. */
  willAfterMs?: number;
  /** In place of the database's clock. */
  now?: () => number;
  logger?: Logger;
  /** Where Prometheus finds its metrics; absent = nowhere. */
  metrics?: MetricsPlace | undefined;
  progress?: (what: string) => void;
}

export interface Broker {
  url: string;
  origin: string;
  /** Where the metrics are; null = nowhere. */
  metricsUrl: string | null;
  loaded: LoadedKeys;
  desk: Desk;
  store: Store;
  /** Last wills that are kept. */
  wills: Pick<Wills, "isKept">;
  /** From now on; the archive's folder stays as it is. */
  keep(kept: Kept): void;
  close(): Promise<void>;
}

/** A start that says nothing for so long says what it waits for. */
const TOLD_EVERY_MS = 10_000;

interface OpenedStore {
  store: Store;
  archive: ArchiveFolder | null;
  pool: Pool;
  /** Where the broker brings its database along. */
  embedded: EmbeddedPostgres | null;
  close(): Promise<void>;
}

/** Of several hosts of a database some may be away: each is asked once. */
async function untilReached<T>(hosts: number, ask: () => Promise<T>): Promise<T> {
  for (let tries = 1; ; tries++) {
    try {
      return await ask();
    } catch (error) {
      if (tries >= hosts || !isLost(error)) throw error;
    }
  }
}

/** The database, migrated and ready. */
export async function openStore(options: Pick<BrokerOptions, "dataFolder" | "databaseUrl" | "progress" | "archive">): Promise<OpenedStore> {
  if (options.databaseUrl !== undefined) assertDatabaseUrl(options.databaseUrl);
  await mkdir(options.dataFolder, { recursive: true, mode: 0o700 });
  const embedded = options.databaseUrl === undefined ? await startEmbeddedPostgres(path.resolve(options.dataFolder)) : null;
  const connection: PoolConfig = embedded ? embedded.connection : { connectionString: options.databaseUrl! };
  if (embedded) options.progress?.("PostgreSQL is up (embedded)");
  const pool = openPool({ ...connection, max: 20, connectionTimeoutMillis: 5_000 });
  const archive = options.archive ? new ArchiveFolder(options.archive.folder, toHex(nodeCrypto.randomBytes(8))) : null;
  const store = createPostgresStore(pool, archive ?? undefined);
  const close = async (): Promise<void> => {
    await store.close();
    await embedded?.stop();
  };
  try {
    const applied = await untilReached(hostsIn(options.databaseUrl ?? "").length, () => migrate(pool));
    if (!embedded) options.progress?.("PostgreSQL is reached");
    if (applied.length > 0) options.progress?.(`the database has its tables (${applied.join(", ")})`);
  } catch (error) {
    await close();
    throw embedded ? error : unreached(error);
  }
  return { store, archive, pool, embedded, close };
}

/** Says once in the log, in the operator's name, which keys are this broker's. */
async function publishKeys({ store, market: { origin, keys }, log, crypto }: Services, desk: Desk, operator: Signer): Promise<void> {
  if ((await store.documentsOfKind("market-keys")).length > 0) return;
  const { envelope } = signDocument(crypto, operator, "market-keys", { origin, seen: log.seen, keys, sequence: 1 });
  await desk.submit(envelope);
}

/** Where the desk's news go: to the links here, and to all event streams. */
const outboxTo = (
  hub: LinkHub,
  feed: EventFeed,
  { logger, metrics, faults }: Pick<Looped, "logger" | "metrics" | "faults">,
): ConstructorParameters<typeof Desk>[1] => ({
  toServer: (server, filed) => hub.toServer(server, filed),
  event(event) {
    hub.event(event);
    feed.announce();
  },
  keyRevoked: (key) => hub.keyRevoked(key),
  refused: (change, what) => faults.failed("a change cannot be held", new Error(what), { change }),
  leaseMoved({ lease, server, from, state, reason }) {
    metrics.leaseMoved(state, reason);
    if (reason === null) logger.debug({ lease, server, from, state }, "a lease moved");
    else logger.info({ lease, server, from, state, reason }, "a lease ended");
  },
});

export async function startBroker({ progress = () => {}, ...asked }: BrokerOptions): Promise<Broker> {
  let saidAt = performance.now();
  const options: BrokerOptions = {
    ...asked,
    progress(what) {
      saidAt = performance.now();
      progress(what);
    },
  };
  // else it would be heard of when the first lease is to go there
  if (options.archive)
    await mkdir(options.archive.folder, { recursive: true }).catch((cause: unknown) => {
      throw new Error(`the archive's folder cannot be made: ${cause instanceof Error ? cause.message : String(cause)}`, { cause });
    });
  const waits = setInterval(() => {
    if (performance.now() - saidAt >= TOLD_EVERY_MS) options.progress?.("waiting for the database");
  }, TOLD_EVERY_MS);
  try {
    const opened = await openStore(options);
    const started: Started = [opened.close];
    try {
      return await startOn(opened, options, started);
    } catch (error) {
      // what is told is why it could not start
      await ended(started).catch(() => {});
      throw error;
    }
  } catch (error) {
    if (error instanceof Elsewhere) throw error.cause;
    throw options.databaseUrl === undefined ? error : unreached(error);
  } finally {
    clearInterval(waits);
  }
}

/** How what has been started is ended, in the order in which it was. */
type Started = (() => Promise<void>)[];

/** The newest first. One that cannot be ended keeps none of the others from it. */
async function ended(started: Started): Promise<void> {
  const failed: unknown[] = [];
  for (const end of started.toReversed()) await end().catch((error: unknown) => failed.push(error));
  if (failed.length > 0) throw failed[0];
}

interface Prepared {
  services: Services;
  clock: BrokerClock;
  loaded: LoadedKeys;
}

/** Keys, clock and log, before anything is signed for anyone. */
async function prepare({ store }: OpenedStore, options: BrokerOptions, run: FleetRun): Promise<Prepared> {
  const { loaded, begun } = await keysAtStart(options.dataFolder, options.name ?? NEW_MARKET, store, nodeCrypto);
  const called = loaded.origin.slice(0, loaded.origin.lastIndexOf("/"));
  if (options.name !== undefined && options.name !== called)
    options.progress?.(
      `this market is called ${called} since its first start: the name ${options.name} is for a new one, and changes nothing`,
    );
  const config: MarketConfig = {
    ...MARKET_DEFAULTS,
    ...options.market,
    origin: loaded.origin,
    operatorKey: loaded.operator?.publicKey ?? "0".repeat(64),
  };
  const clock: BrokerClock = options.now
    ? { now: options.now, sync: async () => {}, problem: null, away: null }
    : await databaseClock(store, (step) => options.logger?.warn(step));
  const services: Services = {
    ...{
      store,
      crypto: nodeCrypto,
      keys: loaded.keys,
      config,
      index: new OfferIndex(),
      waiting: new WaitingOrders(),
      log: new LogView(),
      now: clock.now,
    },
    market: { origin: config.origin, keys: publicKeysOf(loaded.keys), operatorKey: config.operatorKey },
    ...{ fleet: run.fleet, place: () => run.place.take() },
  };
  if (clock.away !== null) options.progress?.(`by the database's clock nothing was signed in this market for ${clock.away}`);
  await openLog(services, "a new market");
  await begun();
  return { services, clock, loaded };
}

const openHints = async ({ pool }: OpenedStore, { nats }: BrokerOptions, parts: Parameters<typeof openNatsHints>[1]): Promise<Hints> =>
  nats ? openNatsHints(nats, parts) : postgresHints(pool);

interface Linked extends Pick<Looped, "run" | "logger" | "faults" | "metrics"> {
  pool: Pool;
  desk: () => Desk;
  sessions: Sessions;
  market: () => Promise<MarketInfo>;
  options: Pick<BrokerOptions, "beat" | "requestsPerSecond" | "memoryMib" | "willAfterMs">;
}

/** The ends of all links, and what customers leave with them. */
function linksOf(services: Services, { pool, desk, sessions, market, run, options, logger, metrics, faults }: Linked) {
  const wills = new Wills({
    ...{ store: new WillStore(pool), desk, services: () => services },
    ...(options.willAfterMs === undefined ? {} : { afterMs: options.willAfterMs }),
    filed({ of, party }, refused) {
      metrics.will(refused?.code ?? "ok");
      logger.info({ of, party, refused: refused?.code ?? null }, "a last will was filed");
    },
  });
  const hub = new LinkHub(desk, sessions, market, systemTimers, {
    ...{ door: new Door(systemTimers, options), fleet: run.links, wills },
    failed: (what, error, facts) => faults.failed(what, error, facts),
    ...(options.beat ? { beat: options.beat } : {}),
  });
  return { hub, wills };
}

async function startOn(opened: OpenedStore, options: BrokerOptions, started: Started): Promise<Broker> {
  const logger = options.logger ?? pino({ level: "silent" });
  const metrics = createMetrics({
    ...{ pool: opened.pool, links: () => hub.counts, door: () => hub.door },
    ...{ signs: () => services.log.stopped === null, logSize: () => services.log.known?.size ?? 0 },
    ...{ figures: () => services.store.figures(services.now()), now: () => services.now() },
  });
  const faults = new Faults(logger, metrics.fault, undefined, (error) => (isLost(error) ? "lost" : null));
  const database = watchOwnDatabase(opened.embedded, faults);
  const failed = (what: string) => (error: unknown) => faults.failed(what, error);
  const parts = { pool: opened.pool, hints: () => hints, services: () => services, hub: () => hub, timers: systemTimers, failed };
  const run = new FleetRun(parts, nodeCrypto);
  const { services, clock, loaded } = await prepare(opened, options, run);
  const hints = await openHints(opened, options, { origin: loaded.origin, failed: failed("NATS refuses a hint") });
  started.push(
    () => hints.close(),
    () => run.close(),
  );
  const sessions = new Sessions(services);
  // every stranger is told it, by whatever comes first
  const market = askedTogether<MarketInfo>(() => describeMarket(services));
  const linked = { pool: opened.pool, desk: () => desk, sessions, market, run, options, logger, metrics, faults };
  const { hub, wills } = linksOf(services, linked);
  const feed = new EventFeed({ store: services.store, hints, deaf: failed(DEAF), failed: failed("events cannot be read") });
  const desk = new Desk(services, outboxTo(hub, feed, { logger, metrics, faults }));
  started.push(() => feed.close());
  await run.join(options.inner ?? {});
  let kept: Kept = { retention: { ...RETENTION_DEFAULTS, ...options.retention }, archiveAfterMs: options.archive?.afterMs ?? 0 };
  const archive = await archiveJob(services, opened.archive, { afterMs: () => kept.archiveAfterMs, logger });
  const loops = startLoops(services, { run, kept: () => kept, archive, desk, hub, wills, clock, database, logger, metrics, faults });
  for (const loop of loops) started.push(() => loop.stop());
  const app = await createHttpServer({
    desk,
    reads: createReads(services, market),
    sessions,
    hub,
    feed,
    logger,
    faults,
    version: VERSION,
    trustProxy: options.trustProxy ?? [],
    pages: options.pages ?? [],
    page: options.page ?? null,
    count: metrics.count,
    notReady: () =>
      services.store.now().then(
        () => services.log.stopped ?? clock.problem ?? desk.unwritten,
        () => database.silence,
      ),
  });
  const keep = (next: Kept): void => {
    kept = next;
    for (const loop of loops) loop.wake();
  };
  started.push(() => app.close());
  // before anyone is heard: what ran while no broker was there is not late
  await desk.hear();
  if (loaded.operator) await publishKeys(services, desk, loaded.operator);
  const served = options.metrics ? await serveMetrics(metrics.registry, options.metrics).catch(elsewhere) : null;
  if (served) started.push(served.close);
  const url = await app.listen({ host: options.host ?? "127.0.0.1", port: options.port ?? 0 }).catch(elsewhere);
  const ways = { desk, store: services.store, wills, keep };
  return { url, origin: loaded.origin, metricsUrl: served?.url ?? null, loaded, ...ways, close: () => ended(started) };
}
