/**
 * What a virtual machine's specification and inputs must be for any server to run them: looked at by the customer's side before anything
 * is ordered, and by the server before anything is started. Each answer is a sentence that names what to change. Pure; sizes are those of
 * the guest's own disk (ext4, made by the server to `filesOnDisk`). Who controls the inputs: the customer, every field.
 */
import type { InputTree } from "./channel/channel-messages.ts";
import { dateText } from "./date-text.ts";
import { STREAM_MIB_MAX } from "./result-fit.ts";
import type { VmSpec } from "./vm-spec.ts";

const MIB = 1024 * 1024;
/** As many layers as Docker's storage takes in an image, and one more. */
const LAYERS_MAX = 128;
/** The smallest disk on which the file system of an OCI guest fits. */
const OCI_DISK_MIB_MIN = 16;
/** What the guest's kernel and init need before a job begins. */
const OCI_MEMORY_MIB_MIN = 96;
/** What UEFI firmware needs to start anything. */
const UEFI_MEMORY_MIB_MIN = 128;
/** What QEMU holds of a screen: the card's memory, what of it was sent, what waits for viewers. Ordered beside the guest's memory. */
const SCREEN_MIB = 64;
/** Files of a NoCloud seed, together. */
const SEED_BYTES_MAX = 8 * MIB;

/** Names in one tree of inputs or of results, and the bytes that they take in a message: it must fit into one (channel.ts). */
export const ENTRIES_MAX = 100_000;
export const TREE_BYTES_MAX = 12 * MIB;

const NAME_BYTES_MAX = 255;
const PATH_BYTES_MAX = 4_000;
const TARGET_BYTES_MAX = 4_095;
const BLOCK_BYTES = 4_096;
const INODE_BYTES = 256;
/** What Linux takes as a program's arguments and environment: one string, and all of them with a pointer each (execve(2)). */
const ARGUMENT_BYTES_MAX = 131_071;
const ARGUMENTS_BYTES_MAX = 2 * MIB;
const POINTER_BYTES = 8;
const JOURNAL_BYTES_MIN = 4 * MIB;
/** Where the guest's own system lies. */
const TAKEN = ["/proc", "/sys", "/dev", "/.xeno"] as const;

/** How many files a disk of that size has room for: small disks hold small files. */
export const filesOnDisk = (diskMib: number): number => Math.max(Math.min(diskMib, 512) * 256, diskMib * 64);

/** Of the file system on a disk, at most. */
const bytesOnDisk = (diskMib: number): number => diskMib * MIB - filesOnDisk(diskMib) * INODE_BYTES - JOURNAL_BYTES_MIN;

type Check = readonly [isRight: boolean, problem: string];
const firstOf = (checks: readonly Check[]): string | null => checks.find(([isRight]) => !isRight)?.[1] ?? null;

const bytesOf = (text: string): number => new TextEncoder().encode(text).length;

/** Why an image of so many layers cannot be started anywhere; null when it can. */
export const layersProblem = (layers: number): string | null =>
  layers <= LAYERS_MAX ? null : `the image has ${layers} layers; servers take at most ${LAYERS_MAX}: build it with fewer (--squash)`;

function ociProblem({ devices, diskMib, memoryMib }: VmSpec, { layers, args, env }: Extract<VmSpec["vm"], { kind: "oci" }>): string | null {
  const strings = [...args, ...env].map(bytesOf);
  const many = layersProblem(layers.length);
  if (many !== null) return many;
  return firstOf([
    [
      strings.every((bytes) => bytes <= ARGUMENT_BYTES_MAX) &&
        strings.reduce((sum, bytes) => sum + bytes + 1 + POINTER_BYTES, 0) <= ARGUMENTS_BYTES_MAX,
      "arguments and environment are larger than a program can be given: bring them as a file with --in",
    ],
    [devices === "virtio", "an OCI image runs on a machine with virtio devices, not with emulated ones"],
    [diskMib >= OCI_DISK_MIB_MIN, `an OCI image needs a disk of at least ${OCI_DISK_MIB_MIN} MiB, not ${diskMib}: order more with --disk`],
    [
      memoryMib >= OCI_MEMORY_MIB_MIN,
      `an OCI image needs at least ${OCI_MEMORY_MIB_MIN} MiB of memory, not ${memoryMib}: order more with --mem`,
    ],
  ]);
}

/** The first moment of the year 10000: dates have four digits for the year. */
const CLOCK_BASE_MS_END = 253_402_300_800_000;

/** How an offer says that its machines can have screens, and an order with one that it needs such a server. */
export const SCREEN_LABEL = { name: "screen", value: "vnc" } as const;

/** How much more memory than the guest's and QEMU's a lease needs for this machine's screen. */
export const screenMibOf = ({ screen }: Pick<VmSpec, "screen">): number => (screen === true ? SCREEN_MIB : 0);

/** Of a Xen host's memory beside a domain's own: its page tables, by libxl's rule, and what Xen keeps of it. */
const DOMAIN_MIB = 8;
const MIB_PER_TABLE_MIB = 128;

/** How much of a lease's memory a Xen host keeps beside a domain's own. */
export const domainOverheadMib = ({ memoryMib, vcpu }: Pick<VmSpec, "memoryMib" | "vcpu">): number =>
  DOMAIN_MIB + vcpu + Math.ceil(memoryMib / MIB_PER_TABLE_MIB);

/** How much of a lease's memory QEMU may take for a domain that only a BIOS boots, beside its screen. */
export const DEVICE_MODEL_MIB = 40;

function screenProblem({ vm, machine, engine, screen }: VmSpec): string | null {
  if (screen !== true) return null;
  return firstOf([
    [machine !== "microvm", "a microvm has no graphics card: order --machine pc or q35 for --screen"],
    [vm.kind !== "oci", "an image's program has no screen: --screen is for --vm, --iso and --kernel"],
    [engine === null, "a deterministic machine has no screen: what is typed and seen there is not part of its job"],
  ]);
}

/** Why no server can run such a machine, in words; null when servers can. */
export function vmSpecProblem(spec: VmSpec): string | null {
  const { vm, machine, firmware, devices, tpm, memoryMib, outputMibMax, network, egress, engine, clockBaseMs } = spec;
  const isMicro = machine === "microvm";
  const general = firstOf([
    [!isMicro || vm.kind === "kernel" || vm.kind === "snapshot", "a microvm boots a kernel: order --machine pc or q35 for anything else"],
    [!isMicro || firmware === "bios", "a microvm has no UEFI firmware: order --machine q35 for --uefi"],
    [!isMicro || !tpm, "a microvm has no TPM: order --machine q35 for --tpm"],
    [!isMicro || devices === "virtio", "a microvm has virtio devices only: order --machine q35 for others"],
    [
      firmware === "bios" || memoryMib >= UEFI_MEMORY_MIB_MIN,
      `UEFI firmware needs at least ${UEFI_MEMORY_MIB_MIN} MiB of memory, not ${memoryMib}: order more with --mem`,
    ],
    [
      engine === null || outputMibMax <= STREAM_MIB_MAX,
      `of a deterministic machine at most ${STREAM_MIB_MAX} MiB of console come back, not ${outputMibMax}: order less (--max-output)`,
    ],
    [
      engine === null || clockBaseMs < CLOCK_BASE_MS_END,
      `the clock of a deterministic machine begins before the year 10000, not ${dateText(clockBaseMs)}: QEMU knows none that is later`,
    ],
    [egress === "none" || network, "a machine that may reach the network needs a network card: order --network with --egress"],
  ]);
  const refused = general ?? screenProblem(spec);
  if (refused !== null) return refused;
  if (vm.kind === "oci") return ociProblem(spec, vm);
  if (vm.kind === "disk") {
    const names = new Set(vm.seed.map(({ name }) => name));
    return names.size === vm.seed.length ? null : "the seed for cloud-init has the same file twice";
  }
  return null;
}

/** Why a kernel and its RAM disk cannot be loaded into that memory, in words. */
export function kernelSizeProblem(kernelBytes: number, initrdBytes: number, memoryMib: number): string | null {
  const mib = Math.ceil((kernelBytes + initrdBytes) / MIB);
  return mib < memoryMib ? null : `kernel and RAM disk take ${mib} MiB, and the memory is ${memoryMib} MiB: order more with --mem`;
}

/** As much of a kernel's file as `kernelProblem` needs: the multiboot specification (3.1) puts its header there. */
export const KERNEL_HEAD_BYTES = 8_192;
const ELF_MAGIC = 0x7f_45_4c_46;
const MULTIBOOT_MAGIC = 0x1b_ad_b0_02;
/** "HdrS" at 0x202: the Linux/x86 boot protocol since 2.0. */
const LINUX_MAGIC = { at: 0x202, value: 0x48_64_72_53 };

/**
 * Why that is no kernel, by its first bytes. QEMU takes whatever is none of these for a Linux of before 1995 and runs its bytes, which
 * never ends.
 */
export function kernelProblem(head: Uint8Array): string | null {
  const view = new DataView(head.buffer, head.byteOffset, head.byteLength);
  const has = (at: number, value: number): boolean => at + 4 <= head.length && view.getUint32(at) === value;
  if (has(0, ELF_MAGIC) || has(LINUX_MAGIC.at, LINUX_MAGIC.value)) return null;
  for (let at = 0; at + 4 <= head.length; at += 4) if (view.getUint32(at, true) === MULTIBOOT_MAGIC) return null;
  return "the kernel is none: neither a Linux bzImage, nor ELF, nor multiboot";
}

/** Why the files of a seed for cloud-init cannot be given to a machine, in words. */
export const seedProblem = (bytes: number): string | null =>
  bytes <= SEED_BYTES_MAX
    ? null
    : `the files for cloud-init take more than ${SEED_BYTES_MAX / MIB} MiB: fetch what is large from inside the guest`;

/** Why an image cannot be started with that disk, in words; `unpackedBytes`: of all layers together. */
export function imageSizeProblem(unpackedBytes: number, diskMib: number): string | null {
  const mib = Math.ceil(unpackedBytes / MIB);
  return mib <= diskMib ? null : `the image unpacks to ${mib} MiB, more than the disk of ${diskMib} MiB: order --disk ${mib}M or more`;
}

function nameProblem(path: string): string | null {
  return firstOf([
    [path.isWellFormed(), "an input's name is no text"],
    [
      path.split("/").every((part) => bytesOf(part) <= NAME_BYTES_MAX),
      `an input has a name of more than ${NAME_BYTES_MAX} bytes: ${path.slice(0, 80)}…`,
    ],
    [bytesOf(path) <= PATH_BYTES_MAX, `an input lies deeper than a path may be long: ${path.slice(0, 80)}…`],
  ]);
}

function mountsProblem({ mounts }: InputTree): string | null {
  for (const [i, { path }] of mounts.entries()) {
    const taken = TAKEN.find((each) => path === each || path.startsWith(`${each}/`));
    const problem = firstOf([
      [taken === undefined, `${path} cannot be mounted: ${taken} is the guest's own`],
      [mounts.findIndex((each) => each.path === path) === i, `${path} is mounted twice`],
    ]);
    if (problem !== null) return problem;
    const name = nameProblem(path.slice(1));
    if (name !== null) return name;
  }
  return null;
}

function entryProblem(entry: InputTree["entries"][number], known: ReadonlyMap<string, string>, mounts: readonly string[]): string | null {
  const { path, kind } = entry;
  const parts = path.split("/");
  const above = parts.slice(1).map((_, i) => parts.slice(0, i + 1).join("/"));
  const inside = above.find((each) => (known.get(each) ?? "directory") !== "directory");
  return (
    nameProblem(path) ??
    firstOf([
      [above.some((each) => mounts.includes(each)), `the input ${path} lies in no folder that is mounted`],
      [inside === undefined, `the input ${path} lies inside ${inside}, which is no folder`],
      [
        kind !== "link" || (entry.target.isWellFormed() && !entry.target.includes("\0") && bytesOf(entry.target) <= TARGET_BYTES_MAX),
        `the link ${path} leads to something that can be no path`,
      ],
    ])
  );
}

function sizesProblem({ entries }: InputTree, diskMib: number): string | null {
  const sizes = new Map<string, number>();
  let bytes = 0;
  for (const entry of entries) {
    if (entry.kind === "directory") bytes += BLOCK_BYTES;
    if (entry.kind !== "file") continue;
    if ((sizes.get(entry.digest) ?? entry.size) !== entry.size)
      return `the input ${entry.path} has another size than another input of the same digest`;
    sizes.set(entry.digest, entry.size);
    bytes += Math.ceil(entry.size / BLOCK_BYTES) * BLOCK_BYTES;
  }
  return firstOf([
    [
      entries.length <= ENTRIES_MAX && bytesOf(JSON.stringify(entries)) <= TREE_BYTES_MAX,
      `there are more inputs than can be named (${ENTRIES_MAX}): bring them as an archive`,
    ],
    [
      bytes <= bytesOnDisk(diskMib),
      `the inputs take ${Math.ceil(bytes / MIB)} MiB, more than a disk of ${diskMib} MiB has room for: order more with --disk`,
    ],
    [
      entries.length <= filesOnDisk(diskMib),
      `there are ${entries.length} inputs, more than a disk of ${diskMib} MiB has room for: order more with --disk`,
    ],
  ]);
}

/** Why the inputs cannot be given to the machine, in words; null when they can. */
export function vmInputsProblem({ vm, diskMib }: Pick<VmSpec, "vm" | "diskMib">, inputs: InputTree): string | null {
  const { entries, mounts } = inputs;
  // a fork's inputs came with the machine that its snapshot was taken of
  if (vm.kind !== "oci")
    return entries.length + mounts.length === 0 ? null : "only OCI images take inputs: a machine of your own has its disks";
  const mounted = mountsProblem(inputs);
  if (mounted !== null) return mounted;
  const known = new Map<string, string>();
  for (const { path, kind } of entries) {
    if (known.has(path)) return `the input ${path} comes twice`;
    known.set(path, kind);
  }
  const paths = mounts.map(({ path }) => path.slice(1));
  const over = paths.find((path) => (known.get(path) ?? "directory") !== "directory");
  if (over !== undefined) return `/${over} is mounted, and is an input that is no folder`;
  for (const entry of entries) {
    const problem = entryProblem(entry, known, paths);
    if (problem !== null) return problem;
  }
  return sizesProblem(inputs, diskMib);
}
