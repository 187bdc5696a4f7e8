/**
 * A pool opened for this server: logged in, known whole, and rid of what an earlier daemon left. Who controls the inputs: the owner (the
 * settings); the pool.
 */
import { randomBytes } from "node:crypto";
import { mkdir, open, readFile, rename, rm, stat, writeFile } from "node:fs/promises";
import path from "node:path";
import { convertProblem } from "@xenoservers/guests";
import { invariant } from "@xenoservers/market";
import type { Crypto } from "@xenoservers/protocol";
import { addressRange } from "./address-range.ts";
import { PoolConnection } from "./pool-connection.ts";
import { PoolDrain } from "./pool-drain.ts";
import { PoolImages } from "./pool-images.ts";
import { PoolMirror } from "./pool-mirror.ts";
import { PoolNetwork, type NetworkSettings } from "./pool-network.ts";
import { PoolSession } from "./pool-session.ts";
import { PoolSnapshots } from "./pool-snapshots.ts";
import { Pool } from "./pool.ts";
import { xapiGuests, type Boot, type XapiDriver } from "./xapi-driver.ts";

export const HTTPS_PORT = 443;
const READABLE_BY_OTHERS = 0o077;
const HOUR_MS = 3_600_000;
const MARK = /^[0-9a-f]{32}$/;

export interface PoolSettings {
  url: string;
  user: string;
  password_file: string;
  fingerprints: readonly string[];
  sr: string;
  boot: Boot;
  image_gib: number;
  snapshots_gib: number;
  snapshots_hours: number;
  /** Null: machines have no network card. */
  network: NetworkSettings | null;
}

interface OpenPoolOptions {
  settings: PoolSettings;
  crypto: Crypto;
  folder: string;
  /** Leases that this server's journal knows. */
  inUse: ReadonlySet<string>;
  log(what: string, facts: Record<string, unknown>): void;
  wait(ms: number): Promise<void>;
  now(): number;
  monotonicMs(): number;
}

/** Throws where others than its owner can read the file: it lets whoever has it in. */
export async function passwordIn(file: string): Promise<string> {
  const handle = await open(file, "r");
  try {
    if (((await handle.stat()).mode & READABLE_BY_OTHERS) !== 0)
      throw new Error(`xapi.password_file: others can read ${file}; make it yours alone: chmod 600 ${file}`);
    return (await handle.readFile("utf8")).replace(/\r?\n$/, "");
  } finally {
    await handle.close();
  }
}

const markFile = (folder: string): string => path.join(folder, "mark");

/** By which this server's machines are known in the pool; null where it has leased none yet. */
export async function knownMark(folder: string): Promise<string | null> {
  const file = markFile(folder);
  const found = await readFile(file, "utf8").catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return null;
    throw error;
  });
  if (found !== null && !MARK.test(found))
    throw new Error(`${file} is not what was written there: this server's machines cannot be known by it`);
  return found;
}

/** This server's own, so that no two that share a pool take each other's machines for theirs. */
async function markIn(folder: string): Promise<string> {
  const known = await knownMark(folder);
  if (known !== null) return known;
  const file = markFile(folder);
  const mark = randomBytes(16).toString("hex");
  await writeFile(`${file}.part`, mark, { mode: 0o600 });
  await rename(`${file}.part`, file);
  return mark;
}

const word = (text: string): string => text.toLowerCase().replace(/[^a-z0-9.-]+/g, "-");

export function engineOf(pool: Pool): string {
  const [host] = pool.mirror.of("host").values();
  const { product_brand: brand = "xapi", product_version: version = "" } = host?.software_version ?? {};
  return word(`xapi-${brand}-${version}`).slice(0, 64);
}

export interface OpenedPool {
  driver: XapiDriver;
  pool: Pool;
  name: string;
  hosts: number;
}

async function connected({ settings, wait, log }: OpenPoolOptions): Promise<{ session: PoolSession; mirror: PoolMirror }> {
  const { hostname, port } = new URL(settings.url);
  const connection = new PoolConnection(port === "" ? HTTPS_PORT : Number(port), settings.fingerprints);
  const login = { host: hostname, user: settings.user, password: () => passwordIn(settings.password_file) };
  await stat(settings.password_file);
  const session = new PoolSession(connection, login, wait, { log });
  const mirror = new PoolMirror(session, wait, log);
  try {
    await mirror.start();
  } catch (error) {
    await session.close();
    throw error;
  }
  return { session, mirror };
}

export async function openPool(options: OpenPoolOptions): Promise<OpenedPool> {
  const { settings, crypto, folder, inUse, log, wait, now, monotonicMs } = options;
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const mark = await markIn(folder);
  const { session, mirror } = await connected(options);
  const close = async (): Promise<void> => {
    await mirror.close();
    await session.close();
  };
  try {
    const pool = new Pool({ session, mirror, mark, sr: settings.sr, keptGib: settings.image_gib + settings.snapshots_gib, wait });
    const { sr } = pool; // what the owner named is there
    const network = settings.network && new PoolNetwork(pool, settings.network);
    if (network)
      log("machines may have a card on a network of the pool: what they reach there, and how much, is not bounded here", {
        network: network.ref,
      });
    const removed = await pool.removeLeftovers(inUse);
    if (removed.length > 0) log("what nobody's lease is was removed from the pool", { machines: removed });
    const converting = path.join(folder, "converting");
    await rm(converting, { recursive: true, force: true }); // what an earlier daemon was ended in the midst of
    await mkdir(converting, { mode: 0o700 });
    const noConvert = await convertProblem(converting);
    if (noConvert !== null) log("no qcow2 images are taken", { why: noConvert });
    const images = new PoolImages(pool, settings.image_gib, converting, now);
    const snapshots = new PoolSnapshots(pool, { gib: settings.snapshots_gib, hours: settings.snapshots_hours, now });
    const tidying = setInterval(() => void snapshots.tidy().catch(() => {}), HOUR_MS).unref();
    const drain = new PoolDrain(pool, log);
    drain.start();
    const engine = engineOf(pool);
    const driver = xapiGuests({
      ...{ pool, images, snapshots, network, crypto, folder, boot: settings.boot, engine, noConvert, now: monotonicMs },
      async close() {
        clearInterval(tidying);
        const drained = drain.close();
        await close();
        await drained;
      },
    });
    log("the pool is open", { engine, sr, ...pool.capacity() });
    const [about] = mirror.of("pool").values();
    return { driver, pool, name: about?.name_label ?? "", hosts: mirror.of("host").size };
  } catch (error) {
    await close();
    throw error;
  }
}

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
const monotonicMs = (): number => Number(process.hrtime.bigint() / 1_000n) / 1_000;

type Optional<T, K extends keyof T> = Omit<T, K> & { [Key in K]?: T[Key] | undefined };

/** As xenoserver.toml has it. */
interface WrittenPool extends Optional<Omit<PoolSettings, "network">, "url" | "password_file" | "sr"> {
  network?: string | undefined;
  network_addresses?: string | undefined;
  network_gateway?: string | undefined;
  network_dns: readonly string[];
}

interface WrittenPolicy {
  egress: string;
  egress_mbit: number;
}

interface Configured extends Pick<OpenPoolOptions, "crypto" | "folder" | "log"> {
  config: { xapi: WrittenPool; policy: WrittenPolicy };
  /** Folders of guests that leases of an earlier daemon still use: each is called as its lease. */
  inUse: readonly string[];
}

/** Of what machines may reach, a pool knows all or nothing. */
function networkIn(
  { network, network_addresses, network_gateway, network_dns }: WrittenPool,
  policy: WrittenPolicy,
): PoolSettings["network"] {
  if (network === undefined || policy.egress !== "public") return null;
  const addresses = addressRange(network_addresses ?? "");
  invariant(addresses !== null && network_gateway !== undefined, "settings of a pool were looked at when they were read");
  return { network, addresses, gateway: network_gateway, dns: network_dns, mbit: policy.egress_mbit };
}

/** As the owner's settings say it. */
export function poolSettings({ xapi, policy }: Configured["config"]): PoolSettings {
  const { url, password_file, sr } = xapi;
  invariant(url !== undefined && password_file !== undefined && sr !== undefined, "settings of a pool were looked at when they were read");
  return { ...xapi, url, password_file, sr, network: networkIn(xapi, policy) };
}

/** What a server keeps of its pool, in its folder. */
export const poolFolder = (folder: string): string => path.join(folder, "xapi");

export function openPoolOf({ crypto, folder, config, inUse, log }: Configured): Promise<OpenedPool> {
  return openPool({
    ...{ settings: poolSettings(config), crypto, folder: poolFolder(folder), log },
    inUse: new Set(inUse.map((each) => path.basename(each))),
    ...{ wait: pause, now: Date.now, monotonicMs },
  });
}
