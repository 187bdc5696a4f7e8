/** The daemon on a real machine: its key, its folder, its guests, its link. */
import { statfs } from "node:fs/promises";
import path from "node:path";
import { channelKeyPair } from "@xenoservers/protocol/channel";
import { Addresses, type ServerStanding } from "@xenoservers/protocol";
import type { MetricsPlace } from "@xenoservers/protocol/metrics-page";
import { systemTimers, type LinkOptions, type Timers } from "@xenoservers/protocol/link";
import { createSigner, nodeCrypto } from "@xenoservers/protocol/node";
import { connectPipe } from "@xenoservers/protocol/websocket";
import { useStarter } from "@xenoservers/guests";
import type { VmDriver } from "../drivers/qemu/vm-driver.ts";
import { openJournal, type Journal, type LeaseRecord } from "../lease/journal.ts";
import type { InputRules } from "../lease/kept-inputs.ts";
import type { RoomRules } from "../lease/kept-room.ts";
import type { Listing } from "../listing.ts";
import { XenoServer, type ServerOptions } from "../server.ts";
import { listenForMoves, parseHostPort } from "../move/move-port.ts";
import { HttpBrokerApi } from "./broker-api.ts";
import { Counting } from "./counting.ts";
import { isOther } from "../drivers/xapi/pool-capacity.ts";
import { capacityOf, isListedAt, priceOf, type ServerConfig } from "./config.ts";
import type { GuestDriver } from "../drivers/driver.ts";
import { moveAll, type Moved, type MoveTarget } from "./drain-to.ts";
import { openDrivers, type OpenDriversOptions } from "./drivers.ts";
import { readIdentity, type ServerIdentity } from "./machine-identity.ts";
import type { Reread } from "./reread.ts";
import { memoryDiskMib, selfTest, type SelfTest } from "./self-test.ts";
import { openSettings, type Settings } from "./settings.ts";
import { isDrained, keepDrained } from "./standing.ts";

const RETAIN_MS = 24 * 3_600_000;
const HOUR_MS = 3_600_000;
/** Between two looks for what was kept for too long. */
const TIDY_MS = 10 * 60_000;
const GIB = 1024 ** 3;

export interface DaemonOptions extends Pick<OpenDriversOptions, "log" | "network" | "wrapDriver"> {
  folder: string;
  configFile: string;
  /** Where rewritten runtimes are kept; in its own folder when absent. */
  cache?: string;
  connect?: LinkOptions["connect"];
  /** In place of this host's clock. */
  timers?: Timers;
  /** Where Prometheus finds its metrics; absent = nowhere. */
  metrics?: MetricsPlace | undefined;
  /** Whether a process of its own starts all programs: this one is to be large. */
  startsApart?: boolean;
  onRefused?(why: string): void;
  onState?(): void;
}

export interface Daemon {
  server: XenoServer;
  /** Null where no virtual machine can run. */
  vms: VmDriver | null;
  readonly config: ServerConfig;
  test: SelfTest;
  identity: ServerIdentity;
  /** Where the metrics are; null = nowhere. */
  metricsUrl: string | null;
  /** HOST:PORT where it takes leases of other servers of its owner; null = nowhere. */
  moveListen: string | null;
  /** How it stands with its broker; null where that cannot be had soon. */
  standing(): Promise<ServerStanding | null>;
  /** Reads xenoserver.toml again; throws what is wrong with it, and nothing has changed then. */
  reread(): Promise<Omit<Reread, "config">>;
  /** Whether it takes no new leases, until told otherwise and through restarts. Returns when that is on disk. */
  setDrained(drained: boolean): Promise<void>;
  /** Takes no new leases, and hands over what runs to another server of this owner. */
  drainTo(target: MoveTarget): Promise<Moved>;
  close(): Promise<void>;
}

function listingOf(config: ServerConfig, test: SelfTest): Listing {
  const { policy, labels } = config;
  return {
    ...{ labels, cpuScore: test.cpuScore, allowedParties: policy.allowed_parties, allowWeakSandbox: policy.allow_weak_sandbox },
    ...{ egress: policy.egress, fetches: policy.fetch_images, memoryDiskMib: memoryDiskMib() },
    resources: capacityOf(config, test.resources),
    price: priceOf(config),
    maxLeaseMs: Math.floor(policy.max_lease_hours * HOUR_MS),
    feeBasisPointsMax: policy.fee_max_basis_points ?? null,
  };
}

async function freeBytesOf(folder: string): Promise<number> {
  const { bavail, bsize } = await statfs(folder);
  return bavail * bsize;
}

function roomOf({ disk }: ServerConfig, folder: string, drivers: readonly GuestDriver[]): RoomRules {
  return {
    ...{ keptBytesMax: disk.kept_gib * GIB, keptBytesOfOneMax: disk.kept_customer_gib * GIB, leftFreeBytes: disk.left_free_gib * GIB },
    freeBytes: () => freeBytesOf(folder),
    letGoOfCaches: async () => void (await Promise.all(drivers.map((driver) => driver.makeRoom()))),
  };
}

const inputsOf = ({ disk }: ServerConfig): InputRules => ({ bytesMax: disk.inputs_gib * GIB, keepMs: disk.inputs_hours * HOUR_MS });

/** What settings are applied to. */
interface Applied {
  test: SelfTest;
  folder: string;
  drivers: readonly GuestDriver[];
}

const givenBy = (config: ServerConfig, { test, folder, drivers }: Applied): Pick<ServerOptions, "listing" | "room"> => ({
  listing: listingOf(config, test),
  room: roomOf(config, folder, drivers),
});

async function identityIn(folder: string): Promise<ServerIdentity> {
  const identity = await readIdentity(folder);
  if (identity) return identity;
  throw new Error("this machine is not enrolled; run `xeno serve --enrol TOKEN` with a token from `xeno token create --server`");
}

export async function startDaemon(options: DaemonOptions): Promise<Daemon> {
  const counting = new Counting(options.log, options.timers ?? systemTimers);
  const served = await counting.serve(options.metrics);
  const slow = (why: string): void =>
    counting.log("this process starts programs itself, and stands still for each: its starter failed", { why });
  const starter = options.startsApart === true ? useStarter(slow) : null;
  const letGo = async (): Promise<void> => {
    await served?.close();
    await starter?.close();
  };
  try {
    const daemon = await startCounted(options, counting, served?.url ?? null);
    const close = daemon.close.bind(daemon);
    return Object.assign(daemon, { close: () => close().finally(letGo) });
  } catch (error) {
    await letGo();
    throw error;
  }
}

/** What was kept of inputs for too long goes, now and from time to time. */
function keepTidy(journal: Journal, log: DaemonOptions["log"]): NodeJS.Timeout {
  const tidy = (): void =>
    void journal.pruneInputs().catch((error: Error) => log("old inputs could not be removed", { why: error.message }));
  tidy();
  return setInterval(tidy, TIDY_MS).unref();
}

/** The leases of this server, and what is kept of them. */
function journalOf(folder: string, settings: Settings, log: DaemonOptions["log"]): Promise<Journal> {
  return openJournal(folder, {
    damaged: (lease, movedTo) => log("a lease's record is damaged: it ends unpaid", { lease, movedTo }),
    spoiled: (lease, digest) => log("what was kept for its customer is not what it was: it comes again", { lease, digest }),
    inputs: () => inputsOf(settings.now),
  });
}

function ownersWishes(server: XenoServer, settings: Settings, applied: Applied): Pick<Daemon, "reread" | "setDrained" | "drainTo"> {
  return {
    async reread() {
      const { changed, later } = await settings.reread();
      if (changed.length > 0) await server.change(givenBy(settings.now, applied));
      return { changed, later };
    },
    async setDrained(drained) {
      await keepDrained(applied.folder, drained);
      if (drained) void server.drain();
      else await server.undrain();
    },
    async drainTo(target) {
      await this.setDrained(true);
      return moveAll(server, target);
    },
  };
}

/** Of guests that leases still have. */
const foldersOf = (records: readonly LeaseRecord[]): string[] =>
  records.flatMap(({ guest }) => (guest ? [String(guest.token["folder"])] : []));

/** Where other servers of this owner hand leases over, if anywhere. */
async function listenIn({ move: { listen = "" } }: ServerConfig, server: XenoServer): Promise<{ at: string; close(): void } | null> {
  const at = parseHostPort(listen);
  const port = at && (await listenForMoves(at, (pipe, known) => server.moves.answer(pipe, known)));
  return port && { at: listen, close: () => void port.close() };
}

/** What a pool can give is less when a host leaves, and more when one comes: the offer says so. */
function follow(test: SelfTest, capacity: SelfTest["resources"], relist: () => Promise<void>, log: DaemonOptions["log"]): void {
  if (!isOther(test.resources, capacity)) return;
  test.resources = capacity;
  relist().catch((error: Error) => log("what the pool can give now could not be listed", { why: error.message }));
}

async function startCounted(options: DaemonOptions, counting: Counting, metricsUrl: string | null): Promise<Daemon> {
  const {
    folder,
    cache = path.join(folder, "prepared"),
    configFile,
    network,
    wrapDriver,
    timers = systemTimers,
    onRefused,
    onState,
  } = options;
  const log = counting.log;
  const identity = await identityIn(folder);
  const settings = await openSettings(configFile);
  const journal = await journalOf(folder, settings, log);
  const { drivers, states, vms, pool, measure } = await openDrivers({
    ...{ crypto: nodeCrypto, folder, cache, config: settings.now, inUse: foldersOf(await journal.load()), log },
    ...(network ? { network } : {}),
    ...(wrapDriver ? { wrapDriver } : {}),
  });
  const test = await selfTest(folder, states);
  if (pool) test.resources = pool.capacity();
  const applied = { test, folder, drivers };
  const { pins, owner, url } = identity;
  const signer = createSigner(Buffer.from(identity.seed, "hex"));
  const addresses = new Addresses(url);
  const api = new HttpBrokerApi({ addresses, crypto: nodeCrypto, signer, origin: pins.origin, owner });
  const server: XenoServer = new XenoServer({
    ...{ crypto: nodeCrypto, signer, timers, journal, drivers, owner, log, retainMs: RETAIN_MS },
    channelKey: channelKeyPair(Buffer.from(identity.channelSecret, "hex")),
    pins: () => pins,
    connect: options.connect ?? (() => addresses.first(connectPipe)),
    ...givenBy(settings.now, applied),
    draining: await isDrained(folder),
    onHeard: () => counting.heard(),
    listed: () => isListedAt(settings.now, new Date()) && test.resources.vcpu > 0,
    market: () => api.market(),
    logged: (lease, after) => api.logged(lease, after),
    sealPart: (lease, part, bytes) => api.sealPart(lease, part, bytes),
    sealed: (lease, parts) => api.sealed(lease, parts),
    ...(onRefused ? { onRefused } : {}),
    ...(onState ? { onState } : {}),
  });
  counting.of = { server, vms, freeBytes: () => freeBytesOf(folder) };
  const moves = await listenIn(settings.now, server);
  await server.start();
  pool?.onCapacity(() => follow(test, pool.capacity(), () => server.change(givenBy(settings.now, applied)), log));
  const tidying = keepTidy(journal, log);
  const closing = new AbortController();
  const measured = measure(test.cpuScore, closing.signal)
    .then(async (done) => {
      if (done && !closing.signal.aborted) await server.relist();
    })
    .catch((error: Error) => log("the machines' speed could not be measured", { why: error.message }));
  return {
    ...{ server, vms, test, identity, moveListen: moves?.at ?? null, metricsUrl },
    get config() {
      return settings.now;
    },
    ...ownersWishes(server, settings, applied),
    standing: () => api.standing(),
    async close() {
      closing.abort();
      clearInterval(tidying);
      moves?.close();
      await server.close();
      await measured;
    },
  };
}
