/** Every driver that this machine has, opened; what is missing stands in its state. A new driver is opened here. */
import path from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import {
  isDom0,
  lockHost,
  markIn,
  measureVmScore,
  openQemuHost,
  openXenHost,
  type HostState,
  type QemuHost,
  type XenHostState,
} from "@xenoservers/guests";
import type { Crypto } from "@xenoservers/protocol";
import type { GuestDriver } from "../drivers/driver.ts";
import { machineGuests } from "../drivers/qemu/machine-guests.ts";
import { qemuState } from "../drivers/qemu/machine-state.ts";
import { createVmDriver, type VmDriver, type VmDriverOptions } from "../drivers/qemu/vm-driver.ts";
import type { EgressPolicy } from "../drivers/qemu/vm-gates.ts";
import type { DriverState } from "../drivers/state.ts";
import { createWasmDriver } from "../drivers/wasm/wasm-driver.ts";
import { wasmGuests } from "../drivers/wasm/wasm-guests.ts";
import type { OwnWasmDriver } from "../drivers/wasm/wasm-job.ts";
import { wasmState } from "../drivers/wasm/wasm-state.ts";
import { createXenDriver } from "../drivers/xen/xen-driver.ts";
import { xenState } from "../drivers/xen/xen-state.ts";
import { checkPool } from "../drivers/xapi/check-pool.ts";
import { openPoolOf, poolSettings } from "../drivers/xapi/open-pool.ts";
import type { XapiDriver } from "../drivers/xapi/xapi-driver.ts";
import { xapiState } from "../drivers/xapi/xapi-state.ts";
import type { ServerConfig } from "./config.ts";

export interface OpenDriversOptions {
  crypto: Crypto;
  folder: string;
  /** Where rewritten runtimes are kept. */
  cache: string;
  config: ServerConfig;
  /** Folders of guests that leases of an earlier daemon still use. */
  inUse: readonly string[];
  log: VmDriverOptions["log"];
  /** Names and connections of machines beyond the gate, in place of this host's. */
  network?: VmDriverOptions["network"];
  /** What runs WebAssembly, in place of the machine's own driver: for demonstrations of cheating owners. */
  wrapDriver?(driver: GuestDriver): GuestDriver;
}

interface OpenDrivers {
  drivers: readonly GuestDriver[];
  states: readonly DriverState[];
  /** Null where no virtual machine can run. */
  vms: VmDriver | null;
  /** What can be given, where it is not this machine's own to give: it changes as the pool does. */
  pool: Pick<XapiDriver, "capacity" | "onCapacity"> | null;
  /** Measures what takes a while; whether there was anything to measure. */
  measure(cpuScore: number, signal: AbortSignal): Promise<boolean>;
}

const MBIT_BYTES = 125_000;

const egressOf = (policy: ServerConfig["policy"]): EgressPolicy => ({
  ports: policy.egress_ports,
  allow: policy.egress_allow,
  bytesPerSecondMax: policy.egress_mbit * MBIT_BYTES,
  gibPerMonth: policy.egress_gib_month,
});

function openVms(host: QemuHost, { folder, inUse, config: { policy, vm }, log, network }: OpenDriversOptions): Promise<VmDriver> {
  return createVmDriver({
    ...{ host, folder: machinesFolder(folder), inUse, log, fetchImages: policy.fetch_images, imageCacheGib: vm.image_cache_gib },
    ...{ diskIops: vm.disk_iops, snapshots: vm.snapshots },
    ...{ customerSnapshotsGib: vm.customer_snapshots_gib, customerSnapshotsHours: vm.customer_snapshots_hours },
    egress: egressOf(policy),
    ...(network ? { network } : {}),
  });
}

const qemuHost = async ({ vm }: ServerConfig, cache: string): Promise<HostState> =>
  vm.enabled ? openQemuHost(cache) : { ok: false, why: "vm.enabled is false in xenoserver.toml" };

/** Of machines, and of the record of what any guest of this server connected to. */
const machinesFolder = (folder: string): string => path.join(folder, "vm");
const domainsFolder = (folder: string): string => path.join(folder, "xen", "domains");

const xenHost = async ({ xen }: ServerConfig, folder: string, cache: string): Promise<ForStrangers> => {
  const inDom0 = await isDom0();
  if (!xen.enabled && inDom0) return { is: "machine", xen: { ok: false, why: "xen.enabled is false in xenoserver.toml" } };
  if (!inDom0) return { is: "machine", xen: { ok: false, why: "this system is not dom0 of a Xen host" } };
  return forStrangers(await openXenHost(xen.guests, { mark: await markIn(domainsFolder(folder)), cache }), inDom0);
};

/** In dom0 nothing of a customer's runs but in domains: whoever breaks out of anything else there has the whole host. */
const NOT_IN_DOM0 = "this system is dom0, where only domains run strangers' work (xen.enabled = false changes that)";

type ForStrangers =
  | { is: "domains"; xen: Extract<XenHostState, { ok: true }> }
  | { is: "machine"; xen: XenHostState }
  | { is: "nothing"; xen: XenHostState; why: string };

/** Where dom0 makes no domains now, nothing takes their place: a daemon of Xen's that does not run yet opens dom0 to nobody. */
export function forStrangers(xen: XenHostState, inDom0: boolean): ForStrangers {
  if (xen.ok) return { is: "domains", xen };
  return inDom0 ? { is: "nothing", xen, why: `${xen.why}; ${NOT_IN_DOM0}` } : { is: "machine", xen };
}

/** What this machine would offer, for its owner to see: nothing stays open. */
export async function inspectDrivers({ folder, cache, config }: Pick<OpenDriversOptions, "folder" | "cache" | "config">) {
  const apart = { strength: "strong", why: "", without: "" } as const;
  if (config.xapi.url !== undefined)
    return { sandbox: apart, states: [notLeased("wasm"), notLeased("qemu"), await checkPool(poolSettings(config), folder, pause)] };
  const { is, xen } = await xenHost(config, folder, cache);
  if (is !== "machine") return { sandbox: apart, states: [notInDom0("wasm"), notInDom0("qemu"), xenState(xen)] };
  const { sandbox, close } = await createWasmDriver({ folder, cache, poolSize: 0, inUse: [], endWithUs: true });
  await close();
  const states: readonly DriverState[] = [wasmState(sandbox), qemuState(await qemuHost(config, cache)), xenState(xen)];
  return { sandbox, states };
}

/** Where the host's memory is short for a machine, what only waits for another job goes first. */
const afterRoom = (machines: GuestDriver, wasm: OwnWasmDriver): GuestDriver => ({
  ...machines,
  async prepare(job) {
    await wasm.makeMemory(job.po.resources.memoryMib);
    return machines.prepare(job);
  },
});

/** Where a pool is leased nothing of this machine is. */
const notLeased = (name: string): DriverState => ({
  ...{ name, present: false, usesHostDisk: false, holds: [] },
  reason: "the pool of [xapi] is leased, and nothing of this machine",
});

const notInDom0 = (name: string): DriverState => ({ name, present: false, usesHostDisk: false, holds: [], reason: NOT_IN_DOM0 });

/** Of a host that runs Xen: domains, and nothing beside them. */
async function openDomains(
  { crypto, folder, inUse, config: { vm, policy }, log, network }: OpenDriversOptions,
  xen: Extract<XenHostState, { ok: true }>,
): Promise<OpenDrivers> {
  const snapshots = { gib: vm.customer_snapshots_gib, hours: vm.customer_snapshots_hours };
  const lock = await lockHost();
  const options = {
    ...{ host: xen.host, folder: path.join(folder, "xen"), inUse, crypto, imageCacheGib: vm.image_cache_gib, snapshots, log },
    ...{ diskIops: vm.disk_iops },
    ...{ egress: egressOf(policy), recordFolder: machinesFolder(folder), ...(network ? { network } : {}) },
  };
  const domains = await createXenDriver(options).catch(async (error: unknown) => {
    await lock.release();
    throw error;
  });
  const close = async (): Promise<void> => {
    await domains.close();
    await lock.release();
  };
  return {
    drivers: [{ ...domains, close }],
    states: [notInDom0("wasm"), notInDom0("qemu"), xenState(xen)],
    ...{ vms: null, pool: null },
    measure: async () => false,
  };
}

/** A pool alone: what this machine has is what the daemon needs, and two sources of room in one offer would be sold as one. */
async function openPoolAlone(options: OpenDriversOptions): Promise<OpenDrivers> {
  const { driver, name, hosts } = await openPoolOf(options);
  return {
    drivers: [options.wrapDriver?.(driver) ?? driver],
    states: [xapiState({ ok: true, pool: name, hosts, engine: driver.engine })],
    ...{ vms: null, pool: driver },
    measure: async () => false,
  };
}

export async function openDrivers(options: OpenDriversOptions): Promise<OpenDrivers> {
  if (options.config.xapi.url !== undefined) return openPoolAlone(options);
  const { crypto, folder, cache, config, inUse, wrapDriver } = options;
  const found = await xenHost(config, folder, cache);
  if (found.is === "nothing") throw new Error(found.why);
  if (found.is === "domains") return openDomains(options, found.xen);
  const { xen } = found;
  const wasm = await createWasmDriver({ folder, cache, poolSize: config.pool, warm: config.warm, inUse });
  const own = wasmGuests(crypto, wasm);
  const qemu = await qemuHost(config, cache);
  const vms = qemu.ok ? await openVms(qemu.host, options) : null;
  return {
    drivers: [wrapDriver?.(own) ?? own, ...(vms ? [afterRoom(machineGuests(crypto, vms), wasm)] : [])],
    states: [wasmState(wasm.sandbox), qemuState(qemu), ...((await isDom0()) ? [xenState(xen)] : [])],
    ...{ vms, pool: null },
    async measure(cpuScore, signal) {
      if (!qemu.ok || !vms) return false;
      vms.score = (await measureVmScore(qemu.host, cache, cpuScore, signal)) ?? 0;
      return true;
    },
  };
}
