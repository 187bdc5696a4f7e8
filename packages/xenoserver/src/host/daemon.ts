/** The daemon on a real machine: its key, its folder, its guests, its link. */
import { randomBytes } from "node:crypto";
import { mkdir, readFile, rm, writeFile } from "node:fs/promises";
import path from "node:path";
import { measureVmScore, openQemuHost, type HostState, type QemuHost } from "@xenoservers/guests";
import { API, parseEnrolToken, signDocument } from "@xenoservers/protocol";
import { channelKeyPair } from "@xenoservers/protocol/channel";
import { systemTimers, type LinkOptions, type Timers } from "@xenoservers/protocol/link";
import { connectPipe } from "@xenoservers/protocol/websocket";
import { createSigner, nodeCrypto } from "@xenoservers/protocol/node";
import type { MarketPins } from "@xenoservers/verify";
import { z } from "zod";
import { capacityOf, isListedAt, priceOf, readServerConfig, type ServerConfig } from "./config.ts";
import { openJournal } from "../lease/journal.ts";
import { memoryDiskMib, selfTest, type SelfTest } from "./self-test.ts";
import { XenoServer } from "../server.ts";
import type { GuestDriver } from "../drivers/driver.ts";
import { createVmDriver, type VmDriver, type VmDriverOptions } from "../drivers/qemu/vm-driver.ts";
import { createWasmDriver } from "../drivers/wasm/wasm-driver.ts";

const zHex32 = z.string().regex(/^[0-9a-f]{64}$/);
const zIdentity = z.strictObject({
  url: z.string(),
  pins: z.strictObject({ origin: z.string(), keys: z.strictObject({ purchaseOrders: zHex32, checkpoints: zHex32, receipts: zHex32 }) }),
  owner: z.string(),
  seed: zHex32,
  channelSecret: zHex32,
});
export type ServerIdentity = z.infer<typeof zIdentity>;

const RETAIN_MS = 24 * 3_600_000;
const identityFile = (folder: string): string => path.join(folder, "server-identity.json");

export async function readIdentity(folder: string): Promise<ServerIdentity | null> {
  const text = await readFile(identityFile(folder), "utf8").catch(() => null);
  return text === null ? null : zIdentity.parse(JSON.parse(text));
}

/** Makes this machine's own key and has the token's one-time key grant it. The machine never holds a key that can pay out. */
export async function enrol(folder: string, tokenText: string, label: string): Promise<ServerIdentity> {
  const token = parseEnrolToken(tokenText);
  if (!token) throw new Error("this is not an enrolment token; make one with `xeno token create --server`");
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const seed = randomBytes(32);
  const grant = signDocument(nodeCrypto, createSigner(Buffer.from(token.seed, "hex")), "key-grant", {
    origin: token.origin,
    seen: null,
    party: token.party,
    key: createSigner(seed).publicKey,
    role: "server",
    label,
    account: null,
    maxSpendPerDayNanos: null,
    expiresAt: null,
  });
  const identity: ServerIdentity = {
    url: token.url,
    pins: { origin: token.origin, keys: token.keys },
    owner: token.party,
    seed: seed.toString("hex"),
    channelSecret: randomBytes(32).toString("hex"),
  };
  await writeFile(identityFile(folder), JSON.stringify(identity, null, 1), { mode: 0o600, flag: "wx" }).catch((error: NodeJS.ErrnoException) => {
    throw error.code === "EEXIST" ? new Error(`this machine is enrolled already (${identityFile(folder)})`) : error;
  });
  const response = await fetch(new URL(API.submit.path, token.url), {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ envelope: grant.envelope }),
  });
  if (!response.ok) {
    const { error } = (await response.json().catch(() => ({ error: { code: "unavailable", says: "" } }))) as { error: { code: string; says: string } };
    await rm(identityFile(folder));
    throw new Error(`the broker refused the enrolment: ${error.code}: ${error.says}`);
  }
  return identity;
}

export interface DaemonOptions {
  folder: string;
  configFile: string;
  /** Where rewritten runtimes are kept; in its own folder when absent. */
  cache?: string;
  log(what: string, facts: Record<string, unknown>): void;
  connect?: LinkOptions["connect"];
  /** In place of this host's clock. */
  timers?: Timers;
  /** What runs the guests, in place of the machine's own driver: for demonstrations of cheating owners. */
  wrapDriver?(driver: GuestDriver): GuestDriver;
  /** Names and connections of machines beyond the gate, in place of this host's. */
  network?: VmDriverOptions["network"];
  onRefused?(why: string): void;
  onState?(): void;
}

export interface Daemon {
  server: XenoServer;
  /** Null where no virtual machine can run. */
  vms: VmDriver | null;
  config: ServerConfig;
  test: SelfTest;
  identity: ServerIdentity;
  close(): Promise<void>;
}

const MBIT_BYTES = 125_000;

async function openVms(
  host: QemuHost,
  folder: string,
  inUse: readonly string[],
  { policy, vm }: ServerConfig,
  { log, network }: DaemonOptions,
): Promise<VmDriver> {
  return createVmDriver({
    ...{ host, folder, inUse, log, fetchImages: policy.fetch_images, imageCacheGib: vm.image_cache_gib, diskIops: vm.disk_iops, snapshots: vm.snapshots },
    ...{ customerSnapshotsGib: vm.customer_snapshots_gib, customerSnapshotsHours: vm.customer_snapshots_hours },
    egress: {
      ports: policy.egress_ports,
      allow: policy.egress_allow,
      bytesPerSecondMax: policy.egress_mbit * MBIT_BYTES,
      gibPerMonth: policy.egress_gib_month,
    },
    ...(network ? { network } : {}),
  });
}

export async function startDaemon(options: DaemonOptions): Promise<Daemon> {
  const { folder, log } = options;
  const identity = await readIdentity(folder);
  if (!identity) throw new Error("this machine is not enrolled; run `xeno serve --enrol TOKEN` with a token from `xeno token create --server`");
  const config = await readServerConfig(options.configFile);
  const journal = await openJournal(folder);
  const inUse = (await journal.load()).flatMap(({ guest }) => (guest ? [String(guest.token["folder"])] : []));
  const own = await createWasmDriver({ folder, cache: options.cache ?? path.join(folder, "prepared"), poolSize: config.pool, inUse });
  const driver = options.wrapDriver?.(own) ?? own;
  const vmFolder = path.join(folder, "vm");
  const cache = options.cache ?? path.join(folder, "prepared");
  const qemu: HostState = config.vm.enabled ? await openQemuHost(cache) : { ok: false, why: "vm.enabled is false in xenoserver.toml" };
  const test = await selfTest(folder, driver.sandbox, qemu);
  const vms = qemu.ok ? await openVms(qemu.host, vmFolder, inUse, config, options) : null;
  const pins: MarketPins = identity.pins;
  const server = new XenoServer({
    crypto: nodeCrypto,
    signer: createSigner(Buffer.from(identity.seed, "hex")),
    channelKey: channelKeyPair(Buffer.from(identity.channelSecret, "hex")),
    pins: () => pins,
    timers: options.timers ?? systemTimers,
    journal,
    driver,
    vms,
    retainMs: RETAIN_MS,
    log,
    owner: identity.owner,
    connect: options.connect ?? (() => connectPipe(identity.url)),
    listing: {
      resources: capacityOf(config, test.resources),
      price: priceOf(config),
      labels: config.labels,
      maxLeaseMs: Math.floor(config.policy.max_lease_hours * 3_600_000),
      cpuScore: test.cpuScore,
      allowedParties: config.policy.allowed_parties,
      allowWeakSandbox: config.policy.allow_weak_sandbox,
      egress: config.policy.egress,
      fetches: config.policy.fetch_images,
      memoryDiskMib: memoryDiskMib(),
    },
    listed: () => isListedAt(config, new Date()),
    ...(options.onRefused ? { onRefused: options.onRefused } : {}),
    ...(options.onState ? { onState: options.onState } : {}),
  });
  await server.start();
  const closing = new AbortController();
  const measured = measureScore().catch((error: Error) => log("the machines' speed could not be measured", { why: error.message }));
  async function measureScore(): Promise<void> {
    if (!qemu.ok || !vms) return;
    vms.score = (await measureVmScore(qemu.host, cache, test.cpuScore, closing.signal)) ?? 0;
    if (!closing.signal.aborted) await server.relist();
  }
  return {
    ...{ server, vms, config, test, identity },
    async close() {
      closing.abort();
      await server.close();
      await measured;
      await vms?.close();
    },
  };
}
