/**
 * A machine laid out: its images looked at, its folder filled, and what QEMU is to be started with. Who controls the inputs: the customer
 * (specification, images).
 */
import { createHash } from "node:crypto";
import { chmod, copyFile, link, mkdir, open, stat } from "node:fs/promises";
import path from "node:path";
import type { InputTree } from "@xenoservers/protocol/channel";
import {
  KERNEL_HEAD_BYTES,
  filesOnDisk,
  kernelProblem,
  kernelSizeProblem,
  seedProblem,
  vmInputsProblem,
  vmSpecProblem,
  type VmSpec,
} from "@xenoservers/protocol";
import { uidOf, type BoundFile } from "./box.ts";
import { cacheFor, type Cache } from "../images/cache.ts";
import { blankFormatted, blankOverlay, blankRaw, checkInside } from "../images/disks.ts";
import type { Stock } from "../images/stock.ts";
import type { QemuHost } from "./host.ts";
import { checkImage } from "../images/image.ts";
import { ENTRIES_MAX, TEXT_BYTES_MAX } from "../oci/image-bounds.ts";
import { imageDisks } from "../oci/image-disks.ts";
import { Refusal } from "../refusal.ts";
import { VM_FILES, type PlanInput } from "./plan.ts";
import type { SnapshotSource } from "../snapshots/snapshot.ts";
import { inOwnBox } from "./own-box.ts";
import { boxPath, giveToBox } from "./vm.ts";

const MIB = 1024 * 1024;
/** Of a machine's folder: its links to images and layers. */
export const HELD = "held";

export interface MachineJob {
  /** The lease's id, hex. */
  name: string;
  customer: string;
  spec: VmSpec;
  inputs: InputTree;
  /** What the lease has in all; QEMU's own part is in it. */
  memoryMib: number;
  deterministic: boolean;
  /** What is made for it is made for no other machine of its customer's. */
  forgets?: boolean;
  blobFile(digest: string): string;
  /** Aborted where nobody wants it any more: what is under way to make it ends, and nothing is left. */
  signal?: AbortSignal;
  /** Where the specification names a snapshot: that. */
  from: SnapshotSource | null;
}

export interface LayoutOptions {
  host: QemuHost;
  /** For what is built once: layers, blank disks, snapshots. */
  cache: Cache;
  diskIopsMax: number;
  diskBytesPerSecondMax: number;
}

export interface Laid {
  customer: string;
  plan: PlanInput;
  files: BoundFile[];
  oci: boolean;
  templateKey: string;
}

/** By a rule that the customer's side has, too (vm-rules.ts). */
function refuseFor(problem: string | null): void {
  if (problem !== null) throw new Refusal("job", problem);
}

/** Throws Refusal where the machine is none, or needs what this server has not. */
export function refuseWhatCannotBe({ spec, inputs, from }: MachineJob, host: QemuHost): void {
  refuseFor(vmSpecProblem(spec) ?? (from ? null : vmInputsProblem(spec, inputs)));
  if (spec.vm.kind === "oci" && !host.stock) throw new Refusal("job", `this server cannot boot OCI images (${host.stockWhy})`);
  if (spec.firmware === "uefi" && !host.uefi) throw new Refusal("job", "this server has no UEFI firmware (ovmf)");
  if (spec.tpm && !host.tpm) throw new Refusal("job", "this server has no software TPM (swtpm)");
  if (spec.screen === true && !host.screen) throw new Refusal("job", "this server's QEMU was built without screens (VNC)");
}

/** What the parts of a machine are put into. */
class Laying {
  readonly options: LayoutOptions;
  readonly job: MachineJob;
  readonly folder: string;
  readonly uid: number;
  readonly files: BoundFile[] = [];
  readonly planned: PlanInput["files"] = {};

  constructor(options: LayoutOptions, job: MachineJob, folder: string) {
    this.options = options;
    this.job = job;
    this.folder = folder;
    this.uid = uidOf(job.name);
  }

  /** A file of the distribution, which everybody may read. */
  bindSystem(host: string, name: string): string {
    this.files.push({ host, name });
    return `/img/${name}`;
  }

  /** A file that this program keeps, in folders that nobody else can enter: the machine's own link to it outlives the cache's. */
  async bind(host: string, name: string): Promise<string> {
    await chmod(host, 0o444);
    const own = path.join(this.folder, HELD, name);
    const held = await link(host, own).then(
      () => own,
      () => host, // on another file system
    );
    return this.bindSystem(held, name);
  }

  async overlay(): Promise<void> {
    const disk = boxPath(this.folder, VM_FILES.disk);
    await blankOverlay(this.options.cache, this.job.spec.diskMib, disk);
    await giveToBox(disk, this.uid);
  }

  async blankDisk(): Promise<void> {
    this.planned.base = { path: await this.bind(await blankRaw(this.options.cache, this.job.spec.diskMib), "disk"), format: "raw" };
    await this.overlay();
  }
}

type Boot<K extends VmSpec["vm"]["kind"]> = Extract<VmSpec["vm"], { kind: K }>;

async function layDisk(laying: Laying, vm: Boot<"disk">): Promise<void> {
  const { job, folder, planned, uid } = laying;
  const { spec } = job;
  if (vm.image) {
    const image = job.blobFile(vm.image.digest);
    const checked = await checkImage(image, vm.image.format, spec.diskMib);
    if (!checked.ok) throw new Refusal(checked.fault, checked.why);
    planned.base = { path: await laying.bind(image, "disk"), format: vm.image.format };
    if (vm.image.format === "qcow2") await checkInBox(image, folder, uid, job.signal);
    await laying.overlay();
  } else if (spec.diskMib > 0) await laying.blankDisk();
  if (vm.iso) planned.iso = await laying.bind(job.blobFile(vm.iso.digest), "iso");
  if (vm.seed.length === 0) return;
  const seed = boxPath(folder, "seed");
  await mkdir(seed, { mode: 0o700 });
  let bytes = 0;
  for (const { name, digest } of vm.seed) {
    bytes += (await stat(job.blobFile(digest))).size;
    refuseFor(seedProblem(bytes));
    await copyFile(job.blobFile(digest), path.join(seed, name));
    await giveToBox(path.join(seed, name), uid);
  }
  await giveToBox(seed, uid);
  planned.seed = "/w/seed";
}

/** As much of a file as says what kernel it is. */
export async function headOf(file: string): Promise<Uint8Array> {
  const handle = await open(file, "r");
  try {
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(KERNEL_HEAD_BYTES), 0, KERNEL_HEAD_BYTES, 0);
    return buffer.subarray(0, bytesRead);
  } finally {
    await handle.close();
  }
}

async function layKernel(laying: Laying, vm: Boot<"kernel">): Promise<void> {
  const { job, planned } = laying;
  const sizes = await Promise.all(
    [vm.kernel, ...(vm.initrd === null ? [] : [vm.initrd])].map(async (digest) => (await stat(job.blobFile(digest))).size),
  );
  refuseFor(kernelSizeProblem(sizes[0] ?? 0, sizes[1] ?? 0, job.spec.memoryMib));
  const notOne = kernelProblem(await headOf(job.blobFile(vm.kernel)));
  if (notOne !== null) throw new Refusal("bytes", notOne);
  planned.kernel = await laying.bind(job.blobFile(vm.kernel), "kernel");
  if (vm.initrd !== null) planned.initrd = await laying.bind(job.blobFile(vm.initrd), "initrd");
  if (job.spec.diskMib > 0 && !job.deterministic) await laying.blankDisk();
}

async function layOci(laying: Laying, vm: Boot<"oci">, stock: Stock): Promise<void> {
  const { job, planned, folder, options } = laying;
  const { diskMib } = job.spec;
  planned.kernel = laying.bindSystem(stock.kernel, "kernel");
  planned.initrd = await laying.bind(stock.initrd, "initrd");
  const layers: string[] = (planned.layers = []);
  const image = {
    layers: vm.layers.map(({ digest }) => ({ digest, file: job.blobFile(digest) })),
    ...{
      bytesMax: diskMib * MIB,
      entriesMax: Math.min(filesOnDisk(diskMib), ENTRIES_MAX),
      textBytesMax: TEXT_BYTES_MAX,
      work: path.join(folder, "layers"),
    },
    ...(job.signal ? { signal: job.signal } : {}),
  };
  await imageDisks({ ...image, take: async (disk) => void layers.push(await laying.bind(disk, `layer${layers.length}`)) }, options.cache);
  planned.base = { path: await laying.bind(await blankFormatted(options.cache, diskMib), "disk"), format: "raw" };
  await laying.overlay();
}

async function layFirmware(laying: Laying): Promise<void> {
  const { folder, planned, uid, options, job } = laying;
  if (job.spec.firmware === "uefi") {
    const { uefi } = options.host;
    if (!uefi) throw new Error("there is no UEFI firmware here");
    planned.firmwareCode = laying.bindSystem(uefi.code, "code");
    await copyFile(uefi.vars, boxPath(folder, VM_FILES.vars));
    await giveToBox(boxPath(folder, VM_FILES.vars), uid);
  }
  if (job.spec.tpm) {
    await mkdir(boxPath(folder, "tpm"), { mode: 0o700 });
    await giveToBox(boxPath(folder, "tpm"), uid);
  }
}

/** Throws Refusal where the customer's bytes are at fault, or what was ordered is too small for them. */
export async function layOut(options: LayoutOptions, job: MachineJob, folder: string): Promise<Laid> {
  const { host, diskIopsMax, diskBytesPerSecondMax } = options;
  const { spec, deterministic } = job;
  const { vm } = spec;
  await mkdir(path.join(folder, HELD), { mode: 0o700 });
  const laying = new Laying({ ...options, cache: cacheFor(options.cache, { ...job, folder }) }, job, folder);
  if (vm.kind === "disk") await layDisk(laying, vm);
  else if (vm.kind === "kernel") await layKernel(laying, vm);
  else if (vm.kind === "oci" && host.stock) await layOci(laying, vm, host.stock);
  await layFirmware(laying);
  const plan: PlanInput = {
    ...{ spec, accel: host.accel, files: laying.planned, diskIopsMax, diskBytesPerSecondMax, restore: null, deterministic },
    sharedMemory: deterministic ? `/w/${VM_FILES.memory}` : null,
  };
  return {
    customer: job.customer,
    plan,
    files: laying.files,
    oci: vm.kind === "oci",
    templateKey: vm.kind === "oci" ? await templateKeyOf(host, spec, laying.files) : "",
  };
}

/** The tables of the largest image that fits a disk, read whole. */
const CHECK_MIB = 1_024;

/** QEMU's own look at the image's tables; a box of its own, for QEMU's code reads a stranger's bytes there too. */
async function checkInBox(image: string, folder: string, uid: number, signal?: AbortSignal): Promise<void> {
  const box = path.join(folder, "box");
  await giveToBox(box, uid);
  const description = JSON.stringify({
    driver: "qcow2",
    backing: null,
    "read-only": true,
    file: { driver: "file", filename: "/img/disk", locking: "off" },
  });
  const work = { folder: box, files: [{ host: image, name: "disk" }], fileMibMax: 1, uid, memoryMib: CHECK_MIB };
  await inOwnBox(work, ["qemu-img", "check", "-q", `json:${description}`], (command) => checkInside(command, signal));
}

/**
 * Which file it is, whatever its names: a disk that is made again of the same layers is another one. Its bytes may differ, and a booted
 * guest has some of them in its memory.
 */
async function identityOf(file: string): Promise<string> {
  const { dev, ino, size, birthtimeNs } = await stat(file, { bigint: true });
  return [dev, ino, size, birthtimeNs].join(":");
}

/** Guests that are alike up to the moment they get their job. */
async function templateKeyOf({ stock, version, accel }: QemuHost, spec: VmSpec, files: readonly BoundFile[]): Promise<string> {
  if (spec.vm.kind !== "oci") return "";
  const { machine, vcpu, memoryMib, diskMib, network, egress } = spec;
  if (!stock) throw new Error("this server boots no OCI images");
  const shape = [stock.digest, version, accel, machine, vcpu, memoryMib, diskMib, network, egress === "none"];
  const disks = await Promise.all(files.filter(({ name }) => name.startsWith("layer")).map(({ host }) => identityOf(host)));
  return createHash("sha256")
    .update(JSON.stringify([...shape, spec.vm.layers, disks]))
    .digest("hex");
}
