/** Machines on an owner's pool of hosts, under the contract of all drivers. Who controls the inputs: the customer (the work), the pool. */
import { mkdir, readFile, rm } from "node:fs/promises";
import path from "node:path";
import { z } from "zod";
import { DRIVERS, invariant, type Resources } from "@xenoservers/market";
import { seedProblem, type Crypto, type VmSpec } from "@xenoservers/protocol";
import { seedDisk } from "@xenoservers/guests";
import type { GuestDriver, GuestJob, GuestToken, PreparedGuest, RunningGuest } from "../driver.ts";
import { refusedOr } from "../qemu/vm-ends.ts";
import { RefusedJob, RefusedWork } from "../refused.ts";
import type { MachineJob, Work } from "../work.ts";
import { MACHINE_FIELDS, platformOf } from "./machine-fields.ts";
import { forkOf } from "./pool-forks.ts";
import { PoolGuest, endedIn, vmOf, type Placed } from "./pool-guest.ts";
import type { PoolImages } from "./pool-images.ts";
import type { PoolSnapshots } from "./pool-snapshots.ts";
import type { PoolNetwork } from "./pool-network.ts";
import { poolWorkProblem, resultMib, type PoolAbilities } from "./pool-work.ts";
import { LEASE, TAG, leaseName, type Pool } from "./pool.ts";
import { NO_REF, zNothing } from "./xapi-records.ts";

const MIB = 1024 * 1024;
const SEED_PLACE = 1;
const RESULT_PLACE = 2;
const CAP_PERCENT = 100;
const BEGUN = "xenoserver-begun";

export type Boot = "hvm" | "pv";

interface XapiDriverOptions {
  pool: Pool;
  images: PoolImages;
  snapshots: PoolSnapshots;
  /** Null where the owner has named none. */
  network: PoolNetwork | null;
  crypto: Crypto;
  folder: string;
  /** How a disk boots: a machine of its own (hvm), or by the pool's pygrub, which gives it a text console (pv). */
  boot: Boot;
  engine: string;
  /** Why qcow2 images cannot be read here, in words; null where they can. */
  noConvert: string | null;
  now(): number;
  close(): Promise<void>;
}

export interface XapiDriver extends GuestDriver {
  /** What the pool can give now. */
  capacity(): Resources;
  onCapacity(told: () => void): void;
}

function machineOf(work: Work): MachineJob {
  invariant(work.kind === "machine", "work of another kind was refused when it came");
  return work.vm;
}

/** Never more than was sold, and never less: the memory is all there from the beginning. */
async function size({ session, sr }: Pool, vm: string, { memoryMib, vcpu }: VmSpec): Promise<void> {
  const bytes = memoryMib * MIB;
  await session.call(zNothing, "VM.set_memory_limits", vm, bytes, bytes, bytes, bytes);
  await session.call(zNothing, "VM.set_VCPUs_max", vm, vcpu);
  await session.call(zNothing, "VM.set_VCPUs_at_startup", vm, vcpu);
  await session.call(zNothing, "VM.set_VCPUs_params", vm, { weight: "256", cap: String(vcpu * CAP_PERCENT) });
  // a clone has none, and without one its memory goes to a storage that the owner did not name
  await session.call(zNothing, "VM.set_suspend_SR", vm, sr);
  await session.call(zNothing, "VM.set_actions_after_crash", vm, MACHINE_FIELDS.actions_after_crash);
}

async function bootBy({ session }: Pool, vm: string, boot: Boot, { firmware, vcpu }: VmSpec): Promise<void> {
  const isPv = boot === "pv";
  await session.call(zNothing, "VM.set_PV_bootloader", vm, isPv ? "pygrub" : "");
  await session.call(zNothing, "VM.set_HVM_boot_policy", vm, isPv ? "" : "BIOS order");
  await session.call(zNothing, "VM.set_HVM_boot_params", vm, isPv ? {} : { order: "c", firmware });
  await session.call(zNothing, "VM.set_platform", vm, platformOf(vcpu, isPv ? "pygrub" : firmware));
}

class Maker {
  readonly #options: XapiDriverOptions;

  constructor(options: XapiDriverOptions) {
    this.#options = options;
  }

  folderOf(lease: string): string {
    return path.join(this.#options.folder, "leases", lease);
  }

  async prepare(job: GuestJob): Promise<PreparedGuest> {
    const { lease } = job;
    const folder = this.folderOf(lease);
    await mkdir(folder, { recursive: true, mode: 0o700 });
    try {
      const placed = await this.#make(job, folder);
      job.signal?.throwIfAborted();
      return { token: placed.token, discard: () => this.#discard(lease), begin: () => this.#begin(placed) };
    } catch (error) {
      await this.#discard(lease);
      throw refusedOr(error);
    }
  }

  async #discard(lease: string): Promise<void> {
    await this.#options.pool.removeLease(lease);
    await rm(this.folderOf(lease), { recursive: true, force: true });
  }

  async #make(job: GuestJob, folder: string): Promise<Placed> {
    const { pool, boot } = this.#options;
    const { spec } = machineOf(job.work);
    const vm = spec.vm.kind === "snapshot" ? await this.#forked(job, spec.vm.snapshot) : await this.#cloned(job);
    await this.#mark(vm, job.lease);
    if (spec.vm.kind !== "snapshot") {
      await size(pool, vm, spec);
      await bootBy(pool, vm, boot, spec);
      await this.#addDisks(vm, job);
    }
    const result = await this.#resultOf(vm, job);
    const uuid = await pool.session.call(z.string(), "VM.get_uuid", vm);
    return this.#placed(vm, job, { folder, vm: uuid, lease: job.lease }, result);
  }

  #placed(vm: string, job: GuestJob, token: GuestToken, result: Placed["result"]): Placed {
    const { pool, now, snapshots } = this.#options;
    const { spec } = machineOf(job.work);
    return {
      ...{ pool, folder: this.folderOf(job.lease), lease: job.lease, spec, vm, result, token, now, livedUntilMs: null },
      snapshot: async () => {
        if (spec.network) throw new Error("a machine with a network card is not kept: what began with it would have its address");
        return snapshots.take(vm, { customer: job.order.party, spec: await this.#specOf(job) });
      },
    };
  }

  /** Of a machine that began with a snapshot itself, that one's. */
  async #specOf({ order, work }: GuestJob): Promise<VmSpec> {
    const { spec } = machineOf(work);
    if (spec.vm.kind !== "snapshot") return spec;
    const found = await this.#options.snapshots.find(order.party, spec.vm.snapshot);
    if (!found) throw new Error("the snapshot that this machine began with is gone");
    return found.spec;
  }

  async #cloned(job: GuestJob): Promise<string> {
    const { images } = this.#options;
    const { spec, forgets } = machineOf(job.work);
    invariant(spec.vm.kind === "disk" && spec.vm.image !== null, "machines without a disk were refused when they came");
    const { digest, format } = spec.vm.image;
    const image = { customer: job.order.party, digest, format, file: job.blobFile(digest), diskMib: spec.diskMib };
    const vm = await images.clone(await images.template(image, job.signal), leaseName(job.lease), job.lease, job.signal);
    await (forgets ? images.forget(image) : images.prune());
    return vm;
  }

  async #forked(job: GuestJob, id: string): Promise<string> {
    const { snapshots, pool } = this.#options;
    const found = await snapshots.find(job.order.party, id);
    if (!found) throw new RefusedJob("this server does not have that snapshot of yours, or not any more");
    const { spec } = machineOf(job.work);
    const same = (["firmware", "screen", "vcpu", "memoryMib", "diskMib"] as const).every((key) => spec[key] === found.spec[key]);
    if (!same) throw new RefusedJob("the machine that was ordered is not the one that the snapshot was taken of");
    return forkOf(pool, found.ref, job.lease, job.signal);
  }

  /** A clone has its template's marks: it becomes a machine of this lease, and of nothing else. */
  async #mark(vm: string, lease: string): Promise<void> {
    const { pool } = this.#options;
    const { session } = pool;
    await pool.note(vm, LEASE, lease);
    await session.call(zNothing, "VM.remove_from_other_config", vm, BEGUN);
    await session.call(zNothing, "VM.add_tags", vm, `${TAG}-lease:${lease.slice(0, 16)}`);
    await session.call(zNothing, "VM.set_is_a_template", vm, false);
  }

  async #addDisks(vm: string, job: GuestJob): Promise<void> {
    const { pool, images } = this.#options;
    const { spec } = machineOf(job.work);
    const [own] = await this.#disksOf(vm);
    if (own) await images.resize(own, spec.diskMib);
    const files = await this.#seedOf(vm, job);
    if (files.length > 0) {
      const seed = seedDisk(files);
      const vdi = await images.disk(`xeno-seed-${job.lease.slice(0, 16)}`, seed.length, { [LEASE]: job.lease });
      await images.fill(vdi, seed, job.signal);
      await pool.attach(vm, vdi, SEED_PLACE, "RO", false);
    }
    const mib = resultMib(spec);
    const vdi = await images.disk(`xeno-result-${job.lease.slice(0, 16)}`, mib * MIB, { [LEASE]: job.lease });
    await pool.attach(vm, vdi, RESULT_PLACE, "RW", false);
  }

  /** What the customer sent for it, and with a card what it needs to know of that: cloud-init wants two files more, be they empty. */
  async #seedOf(vm: string, job: GuestJob): Promise<{ name: string; bytes: Uint8Array }[]> {
    const { spec } = machineOf(job.work);
    const sent = spec.vm.kind === "disk" ? spec.vm.seed : [];
    const files = await Promise.all(sent.map(async ({ name, digest }) => ({ name, bytes: await readFile(job.blobFile(digest)) })));
    const problem = seedProblem(files.reduce((sum, { bytes }) => sum + bytes.length, 0));
    if (problem !== null) throw new RefusedWork("job-refused", problem);
    const { network } = this.#options;
    if (!spec.network || network === null) return files;
    const needed = { "meta-data": `instance-id: ${job.lease}\n`, "user-data": "" };
    const missing = Object.entries(needed).filter(([name]) => files.every((file) => file.name !== name));
    return [...files, ...missing.map(([name, text]) => ({ name, bytes: Buffer.from(text) })), await network.give(vm)];
  }

  /** By their places. */
  async #disksOf(vm: string): Promise<(string | undefined)[]> {
    const { session } = this.#options.pool;
    const zVbd = z.object({ VDI: z.string(), userdevice: z.string() });
    const disks: (string | undefined)[] = [];
    for (const ref of await session.call(z.array(z.string()), "VM.get_VBDs", vm)) {
      const { VDI, userdevice } = await session.call(zVbd, "VBD.get_record", ref);
      const place = Number(userdevice);
      if (VDI !== NO_REF && Number.isInteger(place) && place >= 0 && place <= RESULT_PLACE) disks[place] = VDI;
    }
    return disks;
  }

  async #resultOf(vm: string, job: GuestJob): Promise<Placed["result"]> {
    const vdi = (await this.#disksOf(vm))[RESULT_PLACE];
    return vdi === undefined ? null : { vdi, mib: resultMib(await this.#specOf(job)) };
  }

  async #begin(placed: Placed): Promise<RunningGuest> {
    const { pool } = this.#options;
    try {
      const isSuspended = placed.spec.vm.kind === "snapshot";
      await pool.bring(placed.vm, ["Running"], isSuspended ? "VM.resume" : "VM.start", false, false);
      // what the mirror says from here on is what became of it, were it over already
      await pool.note(placed.vm, BEGUN, String(placed.now()));
      await pool.mirror.until(() => (pool.mirror.of("vm").get(placed.vm)?.other_config[BEGUN] === undefined ? null : true));
      const guest = new PoolGuest(placed);
      await guest.follow();
      return guest.running();
    } catch (error) {
      await this.#discard(placed.lease);
      throw error;
    }
  }

  async adopt(token: GuestToken, job: GuestJob): Promise<RunningGuest> {
    const folder = this.folderOf(job.lease);
    const before = await endedIn(folder);
    const found = before ? null : await vmOf(this.#options.pool, String(token["vm"]));
    const livedUntilMs = job.livedUntilMs ?? null;
    let placed = { ...this.#placed(NO_REF, job, token, null), livedUntilMs };
    if (found) {
      const [vm, { other_config: config }] = found;
      const whole = this.#placed(vm, job, token, await this.#resultOf(vm, job));
      // the daemon was killed before it knew that the machine runs: one that never ran looks like one that has ended
      await mkdir(folder, { recursive: true, mode: 0o700 });
      const begun = config[BEGUN] === undefined ? await this.#begin(whole).catch(() => null) : null;
      if (begun) return begun;
      if (config[BEGUN] !== undefined) placed = { ...whole, livedUntilMs }; // one that cannot be begun is gone
    }
    await mkdir(folder, { recursive: true, mode: 0o700 });
    const guest = new PoolGuest(placed);
    if (before) guest.found(before);
    else await guest.follow();
    return guest.running();
  }
}

export function xapiGuests(options: XapiDriverOptions): XapiDriver {
  const { pool, images, crypto, engine, now } = options;
  const maker = new Maker(options);
  const abilities = (): PoolAbilities => ({ largest: pool.largest(), noConvert: options.noConvert, hasNetwork: options.network !== null });
  const {
    assurances,
    can: { console, breakpoints },
  } = DRIVERS.xapi;
  return {
    name: "xapi",
    engine,
    sandbox: { strength: "strong", why: "" },
    capabilities: {
      console,
      network: options.network !== null,
      breakpoints,
      snapshots: true,
      screens: true,
      runs: false,
      images: false,
      filesInMemory: false,
    },
    assurances,
    holds: [],
    offered: () => ({ vmEngine: engine, sandbox: "strong" }),
    problemWith: (work, ordered) =>
      work.kind === "machine" ? poolWorkProblem(crypto, ordered, work.vm, abilities()) : "a machine was ordered, not a WebAssembly job",
    neededBlobs: async (work, { order }) => {
      const { spec, blobs } = machineOf(work);
      if (spec.vm.kind !== "disk") return [];
      const { image, seed } = spec.vm;
      const isThere = image !== null && (await images.has(order.party, image.digest));
      const wanted = new Set([...(image && !isThere ? [image.digest] : []), ...seed.map(({ digest }) => digest)]);
      return blobs
        .filter(({ digest }) => wanted.has(digest))
        .map((blob) => (blob.digest === image?.digest ? { ...blob, isDrivers: true } : blob));
    },
    isSegment: () => false,
    prepare: (job) => maker.prepare(job),
    adopt: (token, job) => maker.adopt(token, job),
    monotonicMs: now,
    makeRoom: () => images.prune(0),
    close: () => options.close(),
    capacity: () => pool.capacity(),
    onCapacity: (told) => void pool.mirror.onChange(told),
  };
}
