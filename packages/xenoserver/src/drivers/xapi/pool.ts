/**
 * An owner's pool as this server may use it: what is its own there, by a mark that no other server has, and how much the pool can give.
 * Nothing without the mark is touched, whatever its name or tags are. Who controls the inputs: the pool; whoever else uses it.
 */
import type { Resources } from "@xenoservers/market";
import { capacityOfPool, largestOfPool } from "./pool-capacity.ts";
import type { PoolMirror } from "./pool-mirror.ts";
import type { PoolSession } from "./pool-session.ts";
import { isCode, Unanswered } from "./xapi-error.ts";
import { RECORDS, recordsOf, zNothing, type RecordOf, type Vm } from "./xapi-records.ts";
import { z } from "zod";

/** Keys of other_config. */
export const MARK = "xenoserver";
export const LEASE = "xenoserver-lease";
export const IMAGE = "xenoserver-image";
export const READY = "xenoserver-ready";
/** For the pool's people to find them by. */
export const TAG = "xenoserver";
const LEASE_NAME = "xeno-lease-";
/** Together two minutes and a half: disks are in use until a storage has merged them, and hosts are busy with what was begun before. */
const TRIES_MAX = 9;
const RETRY_MS = 1_000;
const RETRY_MS_MAX = 30_000;
const BUSY = ["OTHER_OPERATION_IN_PROGRESS", "VM_BAD_POWER_STATE", "SR_BACKEND_FAILURE_46", "VDI_IN_USE", "TOO_MANY_PENDING_TASKS"];
const againMs = (tries: number): number => Math.min(RETRY_MS * 2 ** tries, RETRY_MS_MAX);
/** The pool's people have protected a machine; one that a lease has is this server's to end. */
const PROTECTED = "OPERATION_BLOCKED";
const GONE = ["HANDLE_INVALID", "UUID_INVALID"];

export const leaseName = (lease: string): string => `${LEASE_NAME}${lease}`;

type PowerState = Vm["power_state"];

interface PoolOptions {
  session: PoolSession;
  mirror: PoolMirror;
  /** This server's own, random. */
  mark: string;
  /** uuid or name of the storage that the owner named. */
  sr: string;
  /** The owner's room for images and for snapshots, which no lease has. */
  keptGib: number;
  wait(ms: number): Promise<void>;
}

export class Pool {
  readonly session: PoolSession;
  readonly mirror: PoolMirror;
  readonly mark: string;
  readonly wait: PoolOptions["wait"];
  readonly #options: PoolOptions;

  constructor(options: PoolOptions) {
    this.#options = options;
    ({ session: this.session, mirror: this.mirror, mark: this.mark, wait: this.wait } = options);
  }

  #srs(): [ref: string, sr: RecordOf<"sr">][] {
    const { sr } = this.#options;
    return [...this.mirror.of("sr")].filter(([, { uuid, name_label: name }]) => uuid === sr || name === sr);
  }

  /** The storage that the owner named; throws where it is not there, or is not one. */
  get sr(): string {
    const found = this.#srs();
    const [first] = found;
    if (!first || found.length > 1) throw new Error(`xapi.sr: the pool has ${found.length} storage repositories of that uuid or name`);
    return first[0];
  }

  isOwn({ other_config: config }: { other_config: Record<string, string> }): boolean {
    return config[MARK] === this.mark;
  }

  /** The lease that a machine of this server's runs, or was being made for; null where it is none. */
  leaseOf(vm: Pick<Vm, "other_config" | "name_label" | "is_control_domain">): string | null {
    if (!this.isOwn(vm) || vm.is_control_domain) return null;
    // a clone that was not finished has its mark of what it was cloned of, and its own name from the beginning
    return vm.other_config[LEASE] ?? (vm.name_label.startsWith(LEASE_NAME) ? vm.name_label.slice(LEASE_NAME.length) : null);
  }

  /** Those that see the storage: no other can run a lease. */
  hosts(): ReadonlyMap<string, RecordOf<"host">> {
    const sr = this.#srs()[0]?.[0];
    const seeing = new Set(
      [...this.mirror.of("pbd").values()].flatMap((pbd) => (pbd.SR === sr && pbd.currently_attached ? [pbd.host] : [])),
    );
    return new Map([...this.mirror.of("host")].filter(([ref]) => seeing.has(ref)));
  }

  /** Of the live hosts, and of the storage. */
  capacity(): Resources {
    const { mirror } = this;
    const own = [...mirror.of("vdi").values()].filter((vdi) => this.isOwn(vdi));
    return capacityOfPool({
      ...{ hosts: this.hosts(), metrics: mirror.of("host_metrics"), machines: mirror.of("vm").values() },
      sr: this.#srs()[0]?.[1] ?? null,
      isOwn: (vm) => this.leaseOf(vm) !== null,
      ownDiskBytes: own.reduce((sum, { physical_utilisation: bytes }) => sum + bytes, 0),
      keptBytes: this.#options.keptGib * 1024 ** 3,
    });
  }

  /** XAPI starts nothing that has more processors than its host. */
  largest(): Pick<Resources, "vcpu" | "memoryMib"> {
    return largestOfPool({ hosts: this.hosts(), metrics: this.mirror.of("host_metrics") });
  }

  async vms(): Promise<[ref: string, vm: Vm][]> {
    return recordsOf("vm", await this.session.call(z.unknown(), "VM.get_all_records"));
  }

  /** Brings a machine to where it should be, however often the pool says that it is busy, or does not say what it did. */
  async bring(vm: string, to: readonly PowerState[], method: string, ...params: readonly unknown[]): Promise<void> {
    for (let tries = 0; ; tries++) {
      const state = await this.session.call(RECORDS.vm.shape.power_state, "VM.get_power_state", vm);
      if (to.includes(state)) return;
      try {
        await this.mirror.run(method, vm, ...params);
        return;
      } catch (error) {
        if (tries < TRIES_MAX && to.includes("Halted") && (await this.#unprotected(error, method, vm))) continue;
        if (tries >= TRIES_MAX || !(error instanceof Unanswered || isCode(error, ...BUSY))) throw error;
        await this.wait(againMs(tries));
      }
    }
  }

  /** That one protection of a machine that is to end is taken off. */
  async #unprotected(error: unknown, method: string, vm: string): Promise<boolean> {
    if (!isCode(error, PROTECTED)) return false;
    await this.session.call(zNothing, "VM.remove_from_blocked_operations", vm, method.slice(method.indexOf(".") + 1));
    return true;
  }

  /** Writes a key of a machine's other_config, whatever it was. */
  note(vm: string, key: string, value: string): Promise<void> {
    return this.#note("VM", vm, key, value);
  }

  noteDisk(vdi: string, key: string, value: string): Promise<void> {
    return this.#note("VDI", vdi, key, value);
  }

  async #note(name: "VM" | "VDI", ref: string, key: string, value: string): Promise<void> {
    for (let tries = 0; ; tries++) {
      await this.session.call(zNothing, `${name}.remove_from_other_config`, ref, key);
      try {
        await this.session.call(zNothing, `${name}.add_to_other_config`, ref, key, value);
        return;
      } catch (error) {
        if (tries >= TRIES_MAX || !(error instanceof Unanswered || isCode(error, "MAP_DUPLICATE_KEY"))) throw error;
      }
    }
  }

  /** Removes something; what is gone already is right. */
  async remove(method: string, ref: string): Promise<void> {
    for (let tries = 0; ; tries++)
      try {
        await this.session.call(zNothing, method, ref);
        return;
      } catch (error) {
        if (isCode(error, ...GONE)) return;
        if (tries < TRIES_MAX && method === "VM.destroy" && (await this.#unprotected(error, method, ref))) continue;
        if (tries >= TRIES_MAX || !(error instanceof Unanswered || isCode(error, ...BUSY))) throw error;
        await this.wait(againMs(tries));
      }
  }

  /** Ends a machine of this server's and removes it with its disks. */
  async removeVm(ref: string): Promise<void> {
    const refs = z.array(z.string());
    try {
      // of what is suspended, a snapshot too, that removes the memory
      await this.bring(ref, ["Halted"], "VM.hard_shutdown").catch((error: unknown) => {
        if (!isCode(error, "VM_IS_TEMPLATE", "VM_IS_SNAPSHOT", "OPERATION_NOT_ALLOWED")) throw error;
      });
      const vbds = await this.session.call(refs, "VM.get_VBDs", ref);
      const disks = await Promise.all(vbds.map((vbd) => this.session.call(z.string(), "VBD.get_VDI", vbd)));
      disks.push(await this.session.call(z.string(), "VM.get_suspend_VDI", ref));
      await this.remove("VM.destroy", ref);
      for (const disk of disks) await this.removeDisk(disk);
    } catch (error) {
      if (!isCode(error, ...GONE)) throw error;
    }
  }

  /** Only of this server's: a machine may have been given a disk of somebody else's by the pool's people. */
  async removeDisk(ref: string): Promise<void> {
    const config = await this.session.call(z.record(z.string(), z.string()), "VDI.get_other_config", ref).catch((error: unknown) => {
      if (isCode(error, ...GONE)) return {};
      throw error;
    });
    if (this.isOwn({ other_config: config })) await this.remove("VDI.destroy", ref);
  }

  /** Everything of a lease, half-made machines among it. */
  async removeLease(lease: string): Promise<void> {
    for (const [ref, vm] of await this.vms()) if (this.leaseOf(vm) === lease) await this.removeVm(ref);
    await this.#removeDisks((disk) => disk.other_config[LEASE] === lease);
  }

  async #removeDisks(which: (disk: RecordOf<"vdi">) => boolean): Promise<void> {
    // a snapshot's memory is a disk that is in no machine's drives
    const memories = new Set((await this.vms()).map(([, vm]) => vm.suspend_VDI));
    for (const [ref, disk] of recordsOf("vdi", await this.session.call(z.unknown(), "VDI.get_all_records")))
      if (this.isOwn(disk) && disk.VBDs.length === 0 && !memories.has(ref) && which(disk)) await this.remove("VDI.destroy", ref);
  }

  /** What an earlier daemon left: machines of leases that nobody's record knows, images that did not come whole, disks of no machine. */
  async removeLeftovers(inUse: ReadonlySet<string>): Promise<string[]> {
    const removed: string[] = [];
    for (const [ref, vm] of await this.vms()) {
      if (!this.isOwn(vm) || vm.is_control_domain) continue;
      const lease = this.leaseOf(vm);
      const isKept = lease === null ? vm.other_config[READY] !== undefined : inUse.has(lease);
      if (isKept) continue;
      removed.push(vm.name_label);
      await this.removeVm(ref);
    }
    await this.#removeDisks(({ other_config: { [LEASE]: lease } }) => lease === undefined || !inUse.has(lease));
    return removed;
  }

  async create(name: string, bytes: number, config: Record<string, string>): Promise<string> {
    return this.session.call(z.string(), "VDI.create", {
      ...{ name_label: name, name_description: "", SR: this.sr, virtual_size: bytes, type: "user" },
      ...{ sharable: false, read_only: false, xenstore_data: {}, sm_config: {}, tags: [TAG] },
      other_config: { [MARK]: this.mark, ...config },
    });
  }

  /** `device`: as the guest has it already, of a machine that is suspended. */
  async attach(vm: string, vdi: string, place: number, mode: "RW" | "RO", isBootable: boolean, device = ""): Promise<void> {
    await this.session.call(zNothing, "VBD.create", {
      ...{ VM: vm, VDI: vdi, userdevice: String(place), bootable: isBootable, mode, type: "Disk", unpluggable: false, empty: false },
      ...{ other_config: {}, qos_algorithm_type: "", qos_algorithm_params: {}, device, currently_attached: device !== "" },
    });
  }
}
