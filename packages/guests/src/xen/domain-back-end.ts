/**
 * The control group of what dom0's kernel does for one domain: its threads go into it as they begin, so that a disk is read and written no
 * faster than the owner lets it, domains share dom0's processor by what they bought, and what their work took there can be read. The bounds
 * are of the devices beneath the domain's disks, where the kernel holds back whoever asks of them. Who controls the inputs: the owner
 * (bounds); the guest, how often its drivers connect.
 */
import { mkdir, readFile, readdir, writeFile } from "node:fs/promises";
import path from "node:path";
import { cpuSecondsOf, hostLimits, removeCgroup, type Cgroup } from "../cgroup.ts";
import { codeOf } from "../thrown.ts";
import type { BackEndThreads } from "./back-end-threads.ts";

const WEIGHT_PER_VCPU = 100;
const WEIGHT_MAX = 10_000;

export interface DiskRates {
  /** Of reading, and as much of writing. */
  iopsMax: number;
  bytesPerSecondMax: number;
}

/** What all domains of a server share. */
export interface BackEnds {
  threads: BackEndThreads;
  rates: DiskRates;
  /** Where the group of that name is, whether it is there or not; null where this host has none with bounds for disks. */
  groupOf(name: string): Promise<string | null>;
  /** Where the kernel says what is beneath the disks of domains. */
  devices: string;
}

export const XEN_DEVICES = "/sys/bus/xen-backend/devices";

/** Control groups of version 2 that have bounds for disks; those of version 1 have them apart from the processor's, and none here. */
export async function backEndGroup(name: string): Promise<string | null> {
  const group = (await hostLimits()).group(`back-end-${name}`);
  if (group?.kind !== "cgroup2") return null;
  const [folder] = group.folders;
  const above = path.dirname(folder);
  const put = writeFile(path.join(above, "cgroup.subtree_control"), "+io");
  return put.then(
    () => folder,
    () => null,
  );
}

/** Nothing is left of it, once the domain is gone and its threads with it. */
export async function leaveBackEnd(name: string, groupOf: BackEnds["groupOf"] = backEndGroup): Promise<void> {
  const folder = await groupOf(name);
  if (folder !== null) await removeCgroup({ kind: "cgroup2", folders: [folder] });
}

export class DomainBackEnd {
  readonly #name: string;
  readonly #vcpu: number;
  readonly #of: BackEnds;
  /** Threads that are in the group. */
  #held: ReadonlySet<string> = new Set();

  constructor(name: string, vcpu: number, of: BackEnds) {
    this.#name = name;
    this.#vcpu = vcpu;
    this.#of = of;
  }

  /** What works for the domain of that number is in the group. To be called often: it does nothing where all are. */
  async hold(id: number): Promise<void> {
    const threads = await this.#of.threads.of(id);
    if (threads.every((each) => this.#held.has(each))) return;
    const folder = await this.#of.groupOf(this.#name);
    if (folder === null) return;
    await mkdir(folder, { recursive: true });
    await writeFile(path.join(folder, "cpu.weight"), String(Math.min(WEIGHT_MAX, WEIGHT_PER_VCPU * this.#vcpu)));
    await this.#bound(folder, id);
    const held = new Set<string>();
    for (const each of threads) if (await movedTo(folder, each)) held.add(each);
    this.#held = held;
  }

  /** The same bounds for a process that reads and writes its disks beside them, in a group of its own. */
  async holdProcess(id: number, group: Cgroup | null): Promise<void> {
    if (group?.kind === "cgroup2" && (await this.#of.groupOf(this.#name)) !== null) await this.#bound(group.folders[0], id);
  }

  async #bound(folder: string, id: number): Promise<void> {
    const { iopsMax, bytesPerSecondMax } = this.#of.rates;
    const bounds = `rbps=${bytesPerSecondMax} wbps=${bytesPerSecondMax} riops=${iopsMax} wiops=${iopsMax}`;
    for (const device of await this.#devicesOf(id)) await writeFile(path.join(folder, "io.max"), `${device} ${bounds}`);
  }

  /** Major and minor of what is beneath its disks, in decimals. */
  async #devicesOf(id: number): Promise<string[]> {
    const devices = new Set<string>();
    for (const each of await readdir(this.#of.devices)) {
      if (!each.startsWith(`vbd-${id}-`)) continue;
      const numbers = await readFile(path.join(this.#of.devices, each, "physical_device"), "utf8").catch(() => ""); // not open yet
      const [major, minor] = numbers.trim().split(":");
      if (major && minor) devices.add(`${Number.parseInt(major, 16)}:${Number.parseInt(minor, 16)}`);
    }
    return [...devices];
  }

  /** Of dom0's processor that its threads took since the domain began; null where they are in no group. */
  async cpuSeconds(): Promise<number | null> {
    const folder = await this.#of.groupOf(this.#name);
    return folder === null ? null : cpuSecondsOf({ kind: "cgroup2", folders: [folder] });
  }

  leave(): Promise<void> {
    return leaveBackEnd(this.#name, this.#of.groupOf);
  }
}

/** False where the thread has ended meanwhile. */
async function movedTo(folder: string, pid: string): Promise<boolean> {
  try {
    await writeFile(path.join(folder, "cgroup.procs"), pid);
    return true;
  } catch (error) {
    if (codeOf(error) === "ESRCH") return false;
    throw error;
  }
}
