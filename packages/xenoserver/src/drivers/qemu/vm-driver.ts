/** The driver for virtual machines on `guests`: images, egress and control of each lease's machine. */
import { access, appendFile, mkdir, readFile } from "node:fs/promises";
import path from "node:path";
import { blobsOfVm, type Egress, type VmSpec } from "@xenoservers/protocol";
import type { InputTree } from "@xenoservers/protocol/channel";
import {
  Control,
  Gate,
  ImageStore,
  Machines,
  Refusal,
  Templates,
  parseRanges,
  overheadMib,
  publicAddresses,
  type Connection,
  type Machine,
  type MachineToken,
  type QemuHost,
} from "@xenoservers/guests";
import type { GuestControls, GuestToken, PreparedGuest, RunningGuest } from "../driver.ts";
import { endingOf, refusedOr } from "./vm-ends.ts";
import { SnapshotStore } from "./vm-snapshots.ts";

const MIB = 1024 * 1024;
const GIB = 1024 * MIB;
const HOUR_MS = 3_600_000;

export interface VmJob {
  lease: string;
  customer: string;
  spec: VmSpec;
  inputs: InputTree;
  /** What the lease has, QEMU's own part included. */
  memoryMib: number;
  deterministic: boolean;
  egressMibMax: number;
  /** Used before, where an earlier daemon ran it. */
  egressBytesUsed: number;
  fuelMax: bigint;
  blobFile(digest: string): string;
}

export interface VmDriver {
  readonly engine: string;
  readonly accel: "kvm" | "emulated";
  /** 0 until it was measured. */
  score: number;
  readonly limits: "cgroup2" | "cgroup1" | "process";
  /** What QEMU itself takes of a lease's memory. */
  readonly overheadMib: number;
  /** Whether the server has this customer's image already. */
  hasBlob(customer: string, digest: string): Promise<boolean>;
  /** Throws RefusedWork; every other error is a failure of the host's. */
  prepare(job: VmJob): Promise<PreparedGuest>;
  adopt(token: GuestToken, job: VmJob): Promise<RunningGuest>;
  close(): Promise<void>;
}

export interface VmDriverOptions {
  host: QemuHost;
  folder: string;
  /** Folders of machines that leases still use; what is left of others goes. */
  inUse: readonly string[];
  egress: { ports: readonly number[]; allow: readonly string[]; bytesPerSecondMax: number; gibPerMonth: number };
  fetchImages: boolean;
  imageCacheGib: number;
  diskIops: number;
  snapshots: number;
  /** Customers' own, all together. */
  customerSnapshotsGib: number;
  customerSnapshotsHours: number;
  log(what: string, facts: Record<string, unknown>): void;
  /** For tests: names and connections beyond the gate. */
  network?: { resolve(name: string): Promise<string[]>; dial(address: string, port: number): import("node:net").Socket };
}

const monotonicMs = (): number => Number(process.hrtime.bigint() / 1_000n) / 1_000;

/** A machine that goes on from a snapshot is the one that it was taken of; the lease pays for no less. */
function snapshotProblem(ordered: VmSpec, taken: VmSpec): string | null {
  const same = (["machine", "firmware", "devices", "tpm", "vcpu", "memoryMib", "diskMib", "network"] as const).every(
    (key) => ordered[key] === taken[key],
  );
  return same && taken.vm.kind !== "snapshot" ? null : "the machine that was ordered is not the one that the snapshot was taken of";
}

const month = (at: number): string => new Date(at).toISOString().slice(0, 7);

/** What left the machine, for its owner: who was behind an address and a time, and how much of the month's allowance is used. */
class EgressLog {
  readonly #file: string;
  readonly #log: VmDriverOptions["log"];
  #month = "";
  #bytes = 0;
  #written: Promise<void> = Promise.resolve();

  constructor(file: string, log: VmDriverOptions["log"]) {
    this.#file = file;
    this.#log = log;
  }

  async open(): Promise<void> {
    this.#month = month(Date.now());
    for (const { endedAt, bytes } of await readEgressLog(path.dirname(this.#file)))
      if (month(endedAt) === this.#month) this.#bytes += bytes;
  }

  record(connection: Connection): void {
    if (month(connection.endedAt) !== this.#month) {
      this.#month = month(connection.endedAt);
      this.#bytes = 0;
    }
    this.#bytes += connection.bytes;
    this.#written = this.#written
      .then(() => appendFile(this.#file, `${JSON.stringify(connection)}\n`, { mode: 0o600 }))
      .catch((error: Error) =>
        this.#log("a guest's connection could not be written down", { lease: connection.lease, error: error.message }),
      );
  }

  /** Everything that was recorded is written. */
  written(): Promise<void> {
    return this.#written;
  }

  get bytesThisMonth(): number {
    return month(Date.now()) === this.#month ? this.#bytes : 0;
  }
}

const EGRESS_LOG = "egress.jsonl";

/** Every connection that guests made, oldest first. `folder`: the daemon's `vm` folder. */
export async function readEgressLog(folder: string): Promise<Connection[]> {
  const text = await readFile(path.join(folder, EGRESS_LOG), "utf8").catch(() => "");
  return text.split("\n").flatMap((line) => (line === "" ? [] : [JSON.parse(line) as Connection]));
}

export async function createVmDriver(options: VmDriverOptions): Promise<VmDriver> {
  const { host, folder, egress, log } = options;
  const cache = path.join(folder, "cache");
  await mkdir(cache, { recursive: true, mode: 0o700 });
  const templates = options.snapshots > 0 ? new Templates(path.join(folder, "snapshots"), options.snapshots, log) : null;
  await templates?.open();
  const machines = new Machines({
    ...{ host, folder: path.join(folder, "machines"), cache: { folder: cache, bytesMax: options.imageCacheGib * GIB }, templates },
    diskIopsMax: options.diskIops,
    diskBytesPerSecondMax: 200 * MIB,
  });
  await machines.open(options.inUse);
  const isPublic = publicAddresses(parseRanges(egress.allow));
  const images = new ImageStore({
    folder: path.join(folder, "images"),
    bytesMax: options.imageCacheGib * GIB,
    isPublic: options.fetchImages ? isPublic : null,
  });
  await mkdir(path.join(folder, "images"), { recursive: true, mode: 0o700 });
  const egressLog = new EgressLog(path.join(folder, EGRESS_LOG), log);
  await egressLog.open();
  const kept = new SnapshotStore(path.join(folder, "kept"), {
    ...{ bytesMax: options.customerSnapshotsGib * GIB, keepMs: options.customerSnapshotsHours * HOUR_MS, now: () => Date.now() },
  });
  const tidy = (): void => void kept.tidy().catch((error: Error) => log("old snapshots could not be removed", { error: error.message }));
  tidy();
  const tidying = setInterval(tidy, HOUR_MS).unref();

  const gates = new Set<Gate>();
  function gateFor({ lease, spec, egressMibMax, egressBytesUsed }: VmJob): Gate | null {
    if (spec.egress === "none") return null;
    const left = Math.max(0, egress.gibPerMonth * GIB - egressLog.bytesThisMonth);
    const gate = new Gate({
      ...{ lease, ports: egress.ports, isPublic, bytesUsed: egressBytesUsed, bytesPerSecondMax: egress.bytesPerSecondMax },
      egress: spec.egress as Egress,
      bytesMax: Math.min(egressMibMax * MIB, egressBytesUsed + left),
      record: (connection) => egressLog.record(connection),
      ...options.network,
    });
    gates.add(gate);
    return gate;
  }
  async function shut(gate: Gate | null): Promise<void> {
    await gate?.close();
    if (gate) gates.delete(gate);
  }

  async function running(machine: Machine, job: VmJob, gate: Gate | null): Promise<RunningGuest> {
    const { vm } = machine;
    const { spec, fuelMax, customer } = job;
    const control = vm ? new Control(vm, spec.network) : null;
    if (gate && control) await gate.start(control.namespace);
    let killed = false;
    const merged = machine.token.kind === "other";
    const end = machine.ended.then(async (ended) => {
      await shut(gate);
      await control?.close();
      return killed
        ? { kind: "host-failure" as const, detail: "the machine was ended", endedMonotonicMs: monotonicMs() }
        : endingOf(ended, fuelMax, monotonicMs());
    });
    const controls: GuestControls | null = control &&
      vm && {
        input: (bytes) => control.input(bytes),
        open: (port) => control.open(port),
        agent: (command, args) => control.agent.ask(command, args),
        async reboot() {
          if (machine.token.kind === "oci") throw new Error("an image's job runs once: order it again");
          await control.reboot();
        },
        snapshot: async () => kept.take(machine, { customer, spec, lease: job.lease, blobs: await blobsOf(job) }),
      };
    return {
      token: machine.token,
      ended: end,
      onChange: (changed) => vm?.onChange(changed),
      readStream: (stream, offset) =>
        machine.read(merged ? "console" : stream, merged && stream === "stderr" ? Number.MAX_SAFE_INTEGER : offset),
      readOutput: (digest, offset, length) =>
        /^[0-9a-f]{64}$/.test(digest) ? machine.readOutput(digest, offset, length) : Promise.resolve(new Uint8Array(0)),
      stop: () => machine.stop(),
      pause: () => vm!.pause(),
      resume: () => vm!.begin(),
      async kill() {
        killed = true;
        await vm?.kill();
      },
      release() {
        void shut(gate);
        control?.close().catch(() => {});
        machine.release();
      },
      dispose: () => machine.dispose(),
      egressBytes: () => gate?.bytes ?? 0,
      controls,
    };
  }

  /** Where each of the job's blobs lies: with the lease, or kept from before; images at an address are fetched. */
  async function find({ customer, spec, blobFile }: VmJob): Promise<(digest: string) => string> {
    const found = new Map<string, string>();
    const { vm } = spec;
    for (const digest of new Set(blobsOfVm(spec))) {
      const before = await images.find(customer, digest);
      if (before === null) await images.keep(customer, digest, blobFile(digest));
      found.set(digest, before ?? blobFile(digest));
    }
    if (vm.kind === "disk")
      for (const each of [vm.image, vm.iso])
        if (each && each.url !== null)
          found.set(
            each.digest,
            (await images.find(customer, each.digest)) ?? (await images.fetch(each.url, each.digest, spec.diskMib * MIB)),
          );
    return (digest) => found.get(digest) ?? blobFile(digest);
  }

  /** What a snapshot of a job's machine needs to begin again, whatever becomes of the cache. Throws, in words, where some of it is gone. */
  async function blobsOf({ customer, spec, blobFile }: VmJob): Promise<Map<string, string>> {
    const from = spec.vm.kind === "snapshot" ? await kept.find(customer, spec.vm.snapshot) : null;
    const { vm } = from?.spec ?? spec;
    const digests = new Set(blobsOfVm(from?.spec ?? spec));
    if (vm.kind === "disk") for (const each of [vm.image, vm.iso]) if (each) digests.add(each.digest);
    const found = new Map<string, string>();
    for (const digest of digests) {
      const file = (await from?.blob(digest)) ?? (await images.find(customer, digest)) ?? blobFile(digest);
      const isThere = await access(file).then(
        () => true,
        () => false,
      );
      if (!isThere)
        throw new Error("this server has let go of the image that the machine began with: order it anew, and take the snapshot at once");
      found.set(digest, file);
    }
    return found;
  }

  /** Blobs of the machine that a snapshot was taken of lie with it, or where they were found then. */
  async function findKept(job: VmJob): Promise<(digest: string) => string> {
    const files = await blobsOf(job);
    return (digest) => files.get(digest) ?? job.blobFile(digest);
  }

  return {
    engine: host.engine,
    accel: host.accel === "kvm" ? "kvm" : "emulated",
    score: 0,
    limits: host.limits.kind,
    overheadMib: overheadMib(host.accel),
    hasBlob: async (customer, digest) => (await images.find(customer, digest)) !== null,
    async prepare(job) {
      try {
        const { lease, customer, spec, inputs, memoryMib, deterministic } = job;
        const from = spec.vm.kind === "snapshot" ? await kept.find(customer, spec.vm.snapshot) : null;
        if (spec.vm.kind === "snapshot" && !from)
          throw new Refusal("job", "this server does not have that snapshot of yours, or not any more");
        const problem = from && snapshotProblem(spec, from.spec);
        if (problem) throw new Refusal("job", problem);
        const blobFile = await (from ? findKept(job) : find(job));
        const machine = await machines.prepare({ name: lease, customer, spec, inputs, memoryMib, deterministic, blobFile, from });
        return {
          token: machine.token as GuestToken,
          async begin() {
            try {
              const guest = await running(machine, job, gateFor(job));
              await machine.begin();
              return guest;
            } catch (error) {
              await machine.dispose();
              throw error;
            }
          },
          discard: () => machine.dispose(),
        };
      } catch (error) {
        throw refusedOr(error);
      }
    },
    async adopt(token, job) {
      const { lease, customer, spec, inputs, memoryMib, deterministic, blobFile } = job;
      const machine = await machines.adopt(token as MachineToken, {
        name: lease,
        customer,
        spec,
        inputs,
        memoryMib,
        deterministic,
        blobFile,
        from: null,
      });
      return running(machine, job, gateFor(job));
    },
    async close() {
      clearInterval(tidying);
      await Promise.all([...gates].map(shut));
      await egressLog.written();
    },
  };
}
