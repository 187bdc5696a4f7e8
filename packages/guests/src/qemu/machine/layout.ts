/**
 * A machine laid out: its images looked at, its folder filled, and what QEMU is to be started with. Who controls the inputs: the customer
 * (specification, images).
 */
import { createHash } from "node:crypto";
import { chmod, copyFile, link, mkdir } from "node:fs/promises";
import path from "node:path";
import type { InputTree } from "@xenoservers/protocol/channel";
import type { VmSpec } from "@xenoservers/protocol";
import { OWN_BOX, boxed, uidOf, type BoundFile } from "./box.ts";
import type { Cache } from "../images/cache.ts";
import { OCI_DISK_MIB_MIN, blankFormatted, blankOverlay, blankRaw, checkInside } from "../images/disks.ts";
import type { QemuHost } from "./host.ts";
import { checkImage } from "../images/image.ts";
import { ImageError, layerDisk } from "../oci/layers.ts";
import { VM_FILES, type PlanInput } from "./plan.ts";
import type { SnapshotSource } from "../snapshots/snapshot.ts";
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
  blobFile(digest: string): string;
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
  plan: PlanInput;
  files: BoundFile[];
  oci: boolean;
  templateKey: string;
}

/** Throws ImageError where the machine needs what this server has not. */
export function refuseWhatIsMissing(spec: VmSpec, host: QemuHost): void {
  if (spec.vm.kind === "oci" && !host.stock) throw new ImageError(`this server cannot boot OCI images (${host.stockWhy})`);
  if (spec.firmware === "uefi" && !host.uefi) throw new ImageError("this server has no UEFI firmware (ovmf)");
  if (spec.tpm && !host.tpm) throw new ImageError("this server has no software TPM (swtpm)");
  if (spec.machine === "microvm" && (spec.vm.kind !== "kernel" || spec.firmware === "uefi" || spec.tpm))
    throw new ImageError("a microvm boots a kernel, without UEFI or TPM");
  if (spec.devices === "emulated" && spec.machine === "microvm") throw new ImageError("a microvm has virtio devices only");
}

/** Throws ImageError where the customer's bytes are at fault. */
export async function layOut(options: LayoutOptions, job: MachineJob, folder: string): Promise<Laid> {
  const { host, cache, diskIopsMax, diskBytesPerSecondMax } = options;
  const { spec, deterministic } = job;
  const { vm } = spec;
  const uid = uidOf(job.name);
  await mkdir(path.join(folder, HELD), { mode: 0o700 });
  const files: BoundFile[] = [];
  const planned: PlanInput["files"] = {};
  /** A file of the distribution, which everybody may read. */
  const bindSystem = (host: string, name: string): string => {
    files.push({ host, name });
    return `/img/${name}`;
  };
  /** A file that this program keeps, in folders that nobody else can enter: the machine's own link to it outlives the cache's. */
  const bind = async (host: string, name: string): Promise<string> => {
    await chmod(host, 0o444);
    const own = path.join(folder, HELD, name);
    const held = await link(host, own).then(
      () => own,
      () => host, // on another file system
    );
    return bindSystem(held, name);
  };
  const overlay = async (): Promise<void> => {
    const disk = boxPath(folder, VM_FILES.disk);
    await blankOverlay(cache, spec.diskMib, disk);
    await giveToBox(disk, uid);
  };
  let key = "";
  if (vm.kind === "disk") {
    if (vm.image) {
      const image = job.blobFile(vm.image.digest);
      const checked = await checkImage(image, vm.image.format, spec.diskMib);
      if (!checked.ok) throw new ImageError(checked.why);
      planned.base = { path: await bind(image, "disk"), format: vm.image.format };
      if (vm.image.format === "qcow2") await checkInBox(image, folder, uid);
      await overlay();
    } else if (spec.diskMib > 0) {
      planned.base = { path: await bind(await blankRaw(cache, spec.diskMib), "disk"), format: "raw" };
      await overlay();
    }
    if (vm.iso) planned.iso = await bind(job.blobFile(vm.iso.digest), "iso");
    if (vm.seed.length > 0) {
      const seed = boxPath(folder, "seed");
      await mkdir(seed, { mode: 0o700 });
      for (const { name, digest } of vm.seed) {
        await copyFile(job.blobFile(digest), path.join(seed, name));
        await giveToBox(path.join(seed, name), uid);
      }
      await giveToBox(seed, uid);
      planned.seed = "/w/seed";
    }
  } else if (vm.kind === "kernel") {
    planned.kernel = await bind(job.blobFile(vm.kernel), "kernel");
    if (vm.initrd !== null) planned.initrd = await bind(job.blobFile(vm.initrd), "initrd");
    if (spec.diskMib > 0 && !deterministic) {
      planned.base = { path: await bind(await blankRaw(cache, spec.diskMib), "disk"), format: "raw" };
      await overlay();
    }
  } else if (vm.kind === "oci") {
    if (spec.diskMib < OCI_DISK_MIB_MIN) throw new ImageError(`an OCI image needs a disk of at least ${OCI_DISK_MIB_MIN} MiB`);
    const stock = host.stock!;
    planned.kernel = bindSystem(stock.kernel, "kernel");
    planned.initrd = await bind(stock.initrd, "initrd");
    planned.layers = [];
    for (const [i, { digest, compression }] of vm.layers.entries()) {
      const layer = await layerDisk({ digest, compression, file: job.blobFile(digest), bytesMax: spec.diskMib * MIB }, cache);
      planned.layers.push(await bind(layer, `layer${i}`));
    }
    planned.base = { path: await bind(await blankFormatted(cache, spec.diskMib), "disk"), format: "raw" };
    await overlay();
    key = templateKeyOf(host, spec);
  }
  if (spec.firmware === "uefi") {
    planned.firmwareCode = bindSystem(host.uefi!.code, "code");
    await copyFile(host.uefi!.vars, boxPath(folder, VM_FILES.vars));
    await giveToBox(boxPath(folder, VM_FILES.vars), uid);
  }
  if (spec.tpm) {
    await mkdir(boxPath(folder, "tpm"), { mode: 0o700 });
    await giveToBox(boxPath(folder, "tpm"), uid);
  }
  const plan: PlanInput = {
    ...{ spec, accel: host.accel, files: planned, diskIopsMax, diskBytesPerSecondMax, restore: null, deterministic },
    sharedMemory: deterministic ? `/w/${VM_FILES.memory}` : null,
  };
  return { plan, files, oci: vm.kind === "oci", templateKey: key };
}

/** QEMU's own look at the image's tables; a box of its own, for QEMU's code reads a stranger's bytes there too. */
async function checkInBox(image: string, folder: string, uid: number): Promise<void> {
  const box = path.join(folder, "box");
  await giveToBox(box, uid);
  const description = JSON.stringify({ driver: "qcow2", backing: null, "read-only": true, file: { driver: "file", filename: "/img/disk", locking: "off" } });
  await checkInside(
    await boxed({ ...OWN_BOX, folder: box, files: [{ host: image, name: "disk" }], fileMibMax: 1, uid }, ["qemu-img", "check", "-q", `json:${description}`]),
  );
}

/** Guests that are alike up to the moment they get their job. */
function templateKeyOf({ stock, version, accel }: QemuHost, spec: VmSpec): string {
  if (spec.vm.kind !== "oci") return "";
  const { machine, vcpu, memoryMib, diskMib, network, egress } = spec;
  const shape = [stock!.digest, version, accel, machine, vcpu, memoryMib, diskMib, network, egress === "none"];
  return createHash("sha256")
    .update(JSON.stringify([...shape, spec.vm.layers]))
    .digest("hex");
}
