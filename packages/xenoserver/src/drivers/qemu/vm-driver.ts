/** The driver for virtual machines on `guests`: images, egress and control of each lease's machine. */
import { mkdir } from "node:fs/promises";
import path from "node:path";
import type { Hold } from "@xenoservers/market";
import {
  ImageStore,
  Machines,
  Refusal,
  Templates,
  bytesBelow,
  parseRanges,
  overheadMib,
  publicAddresses,
  removeUnfinished,
  type Machine,
  type MachineToken,
  type QemuHost,
} from "@xenoservers/guests";
import type { GuestToken, PreparedGuest, RunningGuest } from "../driver.ts";
import { DISK_BYTES_PER_SECOND_MAX } from "../disk-rates.ts";
import { machineHolds } from "../holds.ts";
import { VmBlobs } from "./vm-blobs.ts";
import { ArrivingMachine, forgetCarried } from "./vm-carry.ts";
import { refusedOr } from "./vm-ends.ts";
import { openGates, type BeyondGate, type EgressPolicy, type Gates } from "./vm-gates.ts";
import { runningGuest } from "./vm-guest.ts";
import type { VmJob } from "./vm-job.ts";
import { SnapshotStore, snapshotProblem } from "./vm-snapshots.ts";

const GIB = 1024 ** 3;
const HOUR_MS = 3_600_000;

export interface VmDriver {
  readonly engine: string;
  readonly accel: "kvm" | "emulated";
  /** 0 until it was measured. */
  score: number;
  readonly limits: "cgroup2" | "cgroup1" | "process";
  readonly holds: readonly Hold[];
  readonly screens: boolean;
  /** What QEMU itself takes of a lease's memory. */
  readonly overheadMib: number;
  /** Whether the server has this customer's image already. */
  hasBlob(customer: string, digest: string): Promise<boolean>;
  /** Throws RefusedWork; every other error is a failure of the host's. */
  prepare(job: VmJob): Promise<PreparedGuest>;
  adopt(token: GuestToken, job: VmJob): Promise<RunningGuest>;
  /** Where what another server hands over is put. */
  arrive(lease: string): Promise<ArrivingMachine>;
  /** Stands still where it stood there; what arrived is used up. */
  restore(job: VmJob, arrived: ArrivingMachine): Promise<PreparedGuest>;
  /** One that was restored, and is not to begin. */
  discard(token: GuestToken): Promise<void>;
  /** What customers' images, and disks built of them, take of this machine's. */
  imageBytes(): Promise<number>;
  makeRoom(): Promise<void>;
  close(): Promise<void>;
}

export interface VmDriverOptions {
  host: QemuHost;
  folder: string;
  /** Folders of machines that leases still use; what is left of others goes. */
  inUse: readonly string[];
  egress: EgressPolicy;
  fetchImages: boolean;
  imageCacheGib: number;
  diskIops: number;
  snapshots: number;
  /** Customers' own, all together. */
  customerSnapshotsGib: number;
  customerSnapshotsHours: number;
  log(what: string, facts: Record<string, unknown>): void;
  /** For tests: how long this machine's disk may be full before guests end for it. */
  fullDiskMsMax?: number;
  /** For tests: names and connections beyond the gate. */
  network?: BeyondGate;
}

/** What all machines of one server live off. */
interface Parts {
  machines: Machines;
  images: ImageStore;
  kept: SnapshotStore;
  blobs: VmBlobs;
  gates: Gates;
  isLive: boolean;
  leaving: Set<Promise<void>>;
}

async function openParts({ host, folder, egress, log, ...options }: VmDriverOptions): Promise<Parts> {
  const cache = { folder: path.join(folder, "cache"), bytesMax: options.imageCacheGib * GIB };
  await mkdir(cache.folder, { recursive: true, mode: 0o700 });
  const templates = options.snapshots > 0 ? new Templates(path.join(folder, "snapshots"), options.snapshots, log) : null;
  await templates?.open();
  const machines = new Machines({
    ...{ host, folder: path.join(folder, "machines"), cache, templates },
    ...{ diskIopsMax: options.diskIops, diskBytesPerSecondMax: DISK_BYTES_PER_SECOND_MAX },
    ...(options.fullDiskMsMax === undefined ? {} : { fullDiskMsMax: options.fullDiskMsMax }),
  });
  await machines.open(options.inUse);
  const isPublic = publicAddresses(parseRanges(egress.allow));
  await removeUnfinished(path.join(folder, "images"));
  const images = new ImageStore({
    folder: path.join(folder, "images"),
    bytesMax: options.imageCacheGib * GIB,
    isPublic: options.fetchImages ? isPublic : null,
  });
  await mkdir(path.join(folder, "images"), { recursive: true, mode: 0o700 });
  const kept = new SnapshotStore(path.join(folder, "kept"), {
    ...{ bytesMax: options.customerSnapshotsGib * GIB, keepMs: options.customerSnapshotsHours * HOUR_MS, now: () => Date.now() },
  });
  const { network } = options;
  const gates = await openGates(folder, { ...egress, isPublic, ...(network ? { network } : {}) }, log);
  return { machines, images, kept, blobs: new VmBlobs(images, kept), gates, isLive: host.accel === "kvm", leaving: new Set() };
}

/** The job as the machine's maker wants it, but for the files and the snapshot. */
const orderedOf = ({ lease, customer, spec, inputs, memoryMib, deterministic, forgets = false }: VmJob) => ({
  ...{ name: lease, customer, spec, inputs, memoryMib, deterministic, forgets },
});

/** A machine that stands still until it begins, or is let go. */
function preparedGuest(parts: Parts, machine: Machine, job: VmJob): PreparedGuest {
  return {
    token: machine.token,
    async begin() {
      try {
        const guest = await runningGuest(machine, job, parts.gates.open(job), parts);
        await machine.begin();
        return guest;
      } catch (error) {
        await machine.dispose();
        throw error;
      }
    },
    discard: () => machine.dispose(),
  };
}

/** As the other server left it. What arrived is not needed any more then: the machine, and the lease, have their own links to it. */
async function restored(parts: Parts, job: VmJob, arrived: ArrivingMachine): Promise<PreparedGuest> {
  try {
    await arrived.images((digest, file) => parts.blobs.came(job, digest, file));
    const from = await arrived.source(job.spec);
    const machine = await parts.machines.prepare({ ...orderedOf(job), blobFile: job.blobFile, from });
    return preparedGuest(parts, machine, job);
  } finally {
    await arrived.discard();
  }
}

async function prepared(parts: Parts, job: VmJob): Promise<PreparedGuest> {
  const { machines, kept, blobs } = parts;
  const { customer, spec } = job;
  const from = spec.vm.kind === "snapshot" ? await kept.find(customer, spec.vm.snapshot) : null;
  if (spec.vm.kind === "snapshot" && !from) throw new Refusal("job", "this server does not have that snapshot of yours, or not any more");
  const problem = from && snapshotProblem(spec, from.spec);
  if (problem) throw new Refusal("job", problem);
  const blobFile = await (from ? blobs.findKept(job) : blobs.find(job));
  const machine = await machines.prepare({ ...orderedOf(job), blobFile, from, ...(job.signal ? { signal: job.signal } : {}) });
  return preparedGuest(parts, machine, job);
}

export async function createVmDriver(options: VmDriverOptions): Promise<VmDriver> {
  const { host, log } = options;
  const parts = await openParts(options);
  const { machines, images, kept, gates } = parts;
  const tidy = (): void => void kept.tidy().catch((error: Error) => log("old snapshots could not be removed", { error: error.message }));
  tidy();
  const tidying = setInterval(tidy, HOUR_MS).unref();
  return {
    engine: host.engine,
    accel: host.accel === "kvm" ? "kvm" : "emulated",
    score: 0,
    limits: host.limits.kind,
    holds: machineHolds(host),
    screens: host.screen,
    overheadMib: overheadMib(host.accel),
    imageBytes: async () => {
      const all = await Promise.all(["images", "cache"].map((name) => bytesBelow(path.join(options.folder, name))));
      return all.reduce((sum, bytes) => sum + bytes, 0);
    },
    hasBlob: async (customer, digest) => (await images.find(customer, digest)) !== null,
    prepare: (job) =>
      prepared(parts, job).catch((error: unknown) => {
        throw refusedOr(error);
      }),
    async adopt(token, job) {
      const machine = await machines.adopt(
        token as MachineToken,
        { ...orderedOf(job), blobFile: job.blobFile, from: null },
        job.livedUntilMs,
      );
      await machine.stayed();
      await forgetCarried(machine);
      return runningGuest(machine, job, gates.open(job), parts);
    },
    arrive: async (lease) => new ArrivingMachine(await machines.arrivingFolder(lease)),
    restore: (job, arrived) => restored(parts, job, arrived),
    discard: (token) => machines.discard(token as MachineToken),
    async makeRoom() {
      await images.makeRoom();
      await machines.makeRoom();
    },
    async close() {
      clearInterval(tidying);
      await Promise.all(parts.leaving);
      await gates.close();
    },
  };
}
