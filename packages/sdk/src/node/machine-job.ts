/**
 * From what a customer asks for to a virtual machine: what boots, from which disks, with which seed for cloud-init, and what it may
 * reach.
 */
import { randomUUID } from "node:crypto";
import { access, open, readFile, stat } from "node:fs/promises";
import path from "node:path";
import { DRIVERS, FETCH_CONDITION, type MachineDriver } from "@xenoservers/market";
import {
  IMAGE_HEADER_BYTES,
  SCREEN_LABEL,
  checkDiskImage,
  diskImageProblem,
  imageSizeProblem,
  isFetched,
  isQcow2,
  KERNEL_HEAD_BYTES,
  kernelProblem,
  kernelSizeProblem,
  mibOf,
  seedProblem,
  type Egress,
  type ImageFormat,
  type VmBoot,
  type VmSpec,
} from "@xenoservers/protocol";
import type { JobInput } from "../job.ts";
import { openImage, type OciImage } from "../oci/image.ts";
import { isOnThisMachine } from "../oci/on-this-machine.ts";
import { parseReference } from "../oci/reference.ts";
import type { Wanted } from "../order.ts";
import { PROGRAM_FILE } from "../runtimes.ts";
import { bytesBlob, type Blob, type SourceEntry } from "../blob.ts";
import { fileBlob, readTree } from "../tree.ts";
import { buildVm, type BuiltVm } from "../vm.ts";
import { leaseMemoryMib } from "./machine/lease-memory.ts";
import { home } from "./home.ts";
import { pruneKept } from "./kept-room.ts";
import { inWords, inWordsOf, lookFirst, type Looking } from "./image-address.ts";
import { envPair } from "./environment.ts";
import { inputsOf } from "./input-files.ts";
import { sharedFolder, type SharedFolder } from "./program-job.ts";
import { parseCount, parseSizeMib } from "../words.ts";
import { entrypointFrom, processFrom, refuseForImages, type ProcessOptions } from "./process-held.ts";
import { InputError } from "../errors.ts";
import type { RunInput } from "../facade/run-input.ts";
import { mib } from "../words.ts";

type Asked = "vm" | "iso" | "kernel" | "image" | "format" | "digest" | "initrd" | "append" | "entrypoint" | "machine" | "uefi" | "windows";
type AskedOfGuest = "tpm" | "screen" | "hostname" | "user" | "sshKey" | "userData" | "network" | "egress";

/** As `RunInput` has them, with what is usual filled in. */
export interface VmOptions extends ProcessOptions, Pick<RunInput, Asked | AskedOfGuest> {
  egressMax: string;
  accel: "kvm" | "any";
  driver: MachineDriver;
}

/** Options that both kinds of job share. */
interface SharedOptions {
  in?: string;
  files?: readonly SourceEntry[];
  dir: string[];
  env: string[];
  cpu: string;
  mem?: string;
  disk?: string;
  maxOutput: string;
  deterministic: boolean;
  looking: Looking;
}

interface ParsedVm {
  /** What the machine is, for people. */
  says: string[];
  resources: Wanted["resources"];
  ordered: Pick<Wanted, "driver" | "accel" | "egress" | "egressMibMax">;
  /** What a server must be able to do for it. */
  conditions: Wanted["conditions"];
  shared: SharedFolder[];
  /** What it prints is its console, not the output of a program. */
  showsConsole: boolean;
  build(vmEngine: string, fuelMax: bigint): BuiltVm;
}

type Boots = { [K in "vm" | "kernel" | "iso" | "image"]?: string | null };

/** An option says what machine it is; else the first word does. */
export const bootsMachine = ({ vm, kernel, iso, image }: Boots): boolean =>
  [vm, kernel, iso, image].some((each) => each !== undefined && each !== null);

/** Whether the words ask for a virtual machine: by an option, or by a name that is neither a module nor a script. */
export function asksForVm(file: string | undefined, options: VmOptions): boolean {
  if (bootsMachine(options)) return true;
  return file !== undefined && !PROGRAM_FILE.test(file);
}

const MIB = 1024 * 1024;
const VM_MEMORY_MIB = 512;
const OCI_DISK_MIB = 2_048;
const NO_INPUTS: JobInput["mounts"] = [];

/** What kind of disk a file is, and how large, by its header, as the server will see it. `disk`: what was ordered for it. */
async function diskFile(
  file: string,
  format: ImageFormat | undefined,
  disk: number | null,
): Promise<{ format: ImageFormat; sizeMib: number }> {
  const size = (await stat(file).catch(() => null))?.size;
  if (size === undefined) throw new InputError(`there is no file ${file}`);
  const handle = await open(file, "r");
  const { buffer, bytesRead } = await handle.read(Buffer.alloc(IMAGE_HEADER_BYTES), 0, IMAGE_HEADER_BYTES, 0);
  await handle.close();
  const header = buffer.subarray(0, bytesRead);
  const kind = format ?? (isQcow2(header) ? "qcow2" : "raw");
  const checked = disk === null ? checkDiskImage(header, BigInt(size), kind) : diskImageProblem(header, BigInt(size), kind, disk);
  if (!checked.ok) throw new InputError(`${file}: ${checked.why}`);
  return { format: kind, sizeMib: mibOf(checked.virtualBytes) };
}

/** By a rule that servers have, too. */
function refuseFor(problem: string | null): void {
  if (problem !== null) throw new InputError(problem);
}

const isUrl = (text: string): boolean => /^https?:\/\//.test(text);

function digestOption(digest: string | undefined, option: string): string {
  const match = /^(?:sha256:)?([0-9a-f]{64})$/.exec(digest ?? "");
  if (!match) throw new InputError(`${option} by address needs --digest sha256:… of its bytes, so that nobody can change them on the way`);
  return match[1]!;
}

async function seedFiles(options: VmOptions): Promise<{ name: "user-data" | "meta-data"; blob: Blob }[]> {
  const { hostname, user, sshKey, userData } = options;
  if ([hostname, user, sshKey, userData].every((each) => each === undefined)) return [];
  if (userData !== undefined && user !== undefined)
    throw new InputError("--user and --user-data exclude each other: name the user in your file");
  const key = sshKey === undefined ? null : (await readFile(sshKey, "utf8").catch(() => null))?.trim();
  if (sshKey !== undefined && (key === null || key === undefined)) throw new InputError(`there is no file ${sshKey}`);
  if (key?.includes("PRIVATE KEY")) throw new InputError(`${sshKey} is a private key: give the public one, ${sshKey}.pub`);
  if (hostname !== undefined && !/^[a-z0-9-]{1,63}$/.test(hostname))
    throw new InputError(`--hostname '${hostname}' must be letters, digits and dashes`);
  if (user !== undefined && !/^[a-z_][a-z0-9_-]{0,31}$/.test(user)) throw new InputError(`--user '${user}' is no user name`);
  const lines = ["#cloud-config"];
  if (user !== undefined) {
    lines.push("users:", `  - name: ${user}`, "    shell: /bin/bash", '    sudo: "ALL=(ALL) NOPASSWD:ALL"', "    lock_passwd: true");
    if (key) lines.push("    ssh_authorized_keys:", `      - ${JSON.stringify(key)}`);
  }
  const meta: Record<string, unknown> = {
    "instance-id": randomUUID(),
    ...(hostname === undefined ? {} : { "local-hostname": hostname }),
    ...(key ? { "public-keys": [key] } : {}),
  };
  const given = userData === undefined ? Buffer.from(`${lines.join("\n")}\n`) : await readFile(userData).catch(() => null);
  if (given === null) throw new InputError(`there is no file ${userData}`);
  return [
    { name: "user-data", blob: bytesBlob(given) },
    { name: "meta-data", blob: bytesBlob(Buffer.from(`${JSON.stringify(meta)}\n`)) },
  ];
}

function egressOf({ egress, egressMax }: VmOptions): { egress: Egress; egressMibMax: number } {
  if (egress === undefined || egress === "none") return { egress: "none", egressMibMax: 0 };
  const egressMibMax = parseSizeMib(egressMax, "--egress-max");
  if (egress === "public") return { egress, egressMibMax };
  const names = egress.split(",").map((name) => name.trim().toLowerCase());
  const wrong = names.find((name) => !/^(\*\.)?[a-z0-9]([a-z0-9.-]{0,250}[a-z0-9])?$/.test(name));
  if (wrong !== undefined) throw new InputError(`--egress '${wrong}' is no host name; write a.example,*.b.example, or public`);
  return { egress: names, egressMibMax };
}

interface Boot {
  boot: VmBoot;
  blobs: Blob[];
  says: string[];
  diskMib: number;
  mounts: JobInput["mounts"];
}

async function diskBoot(options: VmOptions, disk: number | null, looking: Looking): Promise<Boot> {
  const blobs: Blob[] = [];
  const says: string[] = [];
  let image: Extract<VmBoot, { kind: "disk" }>["image"] = null;
  let diskMib = disk ?? 0;
  if (options.vm !== undefined && isUrl(options.vm)) {
    if (disk === null) throw new InputError("--vm by address needs --disk: how large a disk to order for it");
    const digest = digestOption(options.digest, "--vm");
    await lookFirst(options.vm, disk, looking);
    image = { digest, format: options.format ?? "qcow2", url: options.vm };
    says.push(`image    ${options.vm} (sha256:${image.digest.slice(0, 12)}…), fetched by the server`);
  } else if (options.vm !== undefined) {
    const { format, sizeMib } = await diskFile(options.vm, options.format, disk);
    const blob = await fileBlob(options.vm);
    diskMib = Math.max(disk ?? 0, sizeMib);
    image = { digest: blob.digest, format, url: null };
    blobs.push(blob);
    says.push(`image    ${path.basename(options.vm)} (${format}, ${mib(sizeMib)}, sha256:${blob.digest.slice(0, 12)}…)`);
  }
  let iso: Extract<VmBoot, { kind: "disk" }>["iso"] = null;
  if (options.iso !== undefined && isUrl(options.iso)) {
    iso = { digest: digestOption(options.digest, "--iso"), url: options.iso };
    await lookFirst(options.iso, disk, looking);
  } else if (options.iso !== undefined) {
    await access(options.iso).catch(() => {
      throw new InputError(`there is no file ${options.iso}`);
    });
    const blob = await fileBlob(options.iso);
    blobs.push(blob);
    iso = { digest: blob.digest, url: null };
    says.push(`medium   ${path.basename(options.iso)} (sha256:${blob.digest.slice(0, 12)}…)`);
  }
  const seed = await seedFiles(options);
  refuseFor(seedProblem(seed.reduce((sum, { blob }) => sum + blob.size, 0)));
  blobs.push(...seed.map(({ blob }) => blob));
  return {
    boot: { kind: "disk", image, iso, seed: seed.map(({ name, blob }) => ({ name, digest: blob.digest })) },
    blobs,
    says,
    diskMib,
    mounts: NO_INPUTS,
  };
}

async function kernelBoot(options: VmOptions, memoryMib: number, disk: number | null): Promise<Boot> {
  const file = async (name: string, option: string): Promise<Blob> =>
    fileBlob(name).catch(() => {
      throw new InputError(`${option}: there is no file ${name}`);
    });
  const kernel = await file(options.kernel!, "--kernel");
  const initrd = options.initrd === undefined ? null : await file(options.initrd, "--initrd");
  refuseFor(kernelProblem(await kernel.read(0, Math.min(kernel.size, KERNEL_HEAD_BYTES))));
  refuseFor(kernelSizeProblem(kernel.size, initrd?.size ?? 0, memoryMib));
  return {
    boot: {
      kind: "kernel",
      kernel: kernel.digest,
      initrd: initrd?.digest ?? null,
      append: options.append ?? `console=${DRIVERS[options.driver].consoleDevice}`,
    },
    blobs: [kernel, ...(initrd ? [initrd] : [])],
    says: [`kernel   ${path.basename(options.kernel!)} (sha256:${kernel.digest.slice(0, 12)}…)`],
    diskMib: disk ?? 0,
    mounts: NO_INPUTS,
  };
}

/**
 * What a container engine would start: entrypoint and command of the image, the command replaced by what was typed. A file of this
 * machine is brought along.
 */
async function commandOf(
  image: OciImage,
  args: string[],
  entrypoint: string | undefined,
): Promise<{ args: string[]; script: JobInput["mounts"] }> {
  const first = entrypoint === undefined ? image.entrypoint : entrypointFrom(entrypoint);
  const file = args[0];
  const isScript = file !== undefined && /\.[a-z0-9]+$/i.test(file) && (await stat(file).catch(() => null))?.isFile() === true;
  if (isScript) {
    const name = path.basename(file);
    const script: JobInput["mounts"] = [
      { mount: { path: "/app", writable: false, keep: false }, entries: [{ path: name, kind: "file", blob: await fileBlob(file) }] },
    ];
    return { args: [...first, ...image.command, `/app/${name}`, ...args.slice(1)], script };
  }
  const all = [...first, ...(args.length > 0 ? args : entrypoint === undefined ? image.command : [])];
  if (all.length === 0) throw new InputError("the image starts nothing by itself: say what to run after --");
  if (all[0] === "") throw new InputError("the image starts a program without a name: say what to run after --");
  return { args: all, script: [] };
}

const inputBytes = (mounts: JobInput["mounts"]): number =>
  mounts.flatMap(({ entries }) => entries).reduce((sum, entry) => sum + (entry.kind === "file" ? entry.blob.size : 0), 0);

async function ociBoot(reference: string, args: string[], options: VmOptions, shared: SharedOptions, disk: number | null): Promise<Boot> {
  if (!isOnThisMachine(reference) && !parseReference(reference))
    throw new InputError(`${reference} is neither a .wasm module, a .py script, nor the name of an image`);
  // brought here before a server waits for it and its time runs
  const image = await openImage(reference, path.join(home.data, "oci"), shared.looking.watch).catch(inWordsOf(reference));
  const unpackedBytes = (await image.unpackedBytes().catch(inWords)) ?? 0;
  await pruneKept(home.data);
  if (disk !== null) refuseFor(imageSizeProblem(unpackedBytes, disk));
  const command = await commandOf(image, args, options.entrypoint);
  const mounts: JobInput["mounts"] = [...command.script];
  const inputs = await inputsOf(shared);
  if (inputs) mounts.push({ mount: { path: "/in", writable: false, keep: false }, entries: inputs });
  mounts.push({ mount: { path: "/out", writable: true, keep: true }, entries: [] });
  const held = processFrom(options, { stopSignal: image.stopSignal, program: command.args[0] ?? "" });
  const given = new Map(image.env.map((each) => envPair(each)));
  for (const each of shared.env) given.set(...envPair(each));
  return {
    boot: {
      kind: "oci",
      image: image.digest.slice("sha256:".length),
      layers: image.layers.map(({ blob, compression }) => ({ digest: blob.digest, compression })),
      args: command.args,
      env: [...given].map(([name, value]) => `${name}=${value}`),
      workdir: options.workdir ?? image.workdir,
      ...(image.volumes.length === 0 ? {} : { volumes: image.volumes }),
      user: options.user ?? image.user,
      hostname: options.hostname ?? "",
      ...(held ? { process: held } : {}),
    },
    blobs: image.layers.map(({ blob }) => blob),
    says: [`image    ${image.name}@${image.digest}`, `runs     ${command.args.join(" ")}`],
    diskMib: disk ?? Math.max(OCI_DISK_MIB, Math.ceil(unpackedBytes / MIB)),
    mounts,
  };
}

interface Room {
  memoryMib: number;
  disk: number | null;
}

async function bootOf(
  file: string | undefined,
  args: string[],
  options: VmOptions,
  shared: SharedOptions,
  { memoryMib, disk }: Room,
): Promise<Boot> {
  if (options.kernel !== undefined) return kernelBoot(options, memoryMib, disk);
  if (options.vm !== undefined || options.iso !== undefined) return diskBoot(options, disk, shared.looking);
  const words = options.image === undefined ? args : [...(file === undefined ? [] : [file]), ...args];
  return ociBoot(options.image ?? file!, words, options, shared, disk);
}

export async function parseVm(file: string | undefined, args: string[], options: VmOptions, shared: SharedOptions): Promise<ParsedVm> {
  const memoryMib = shared.mem === undefined ? VM_MEMORY_MIB : parseSizeMib(shared.mem, "--mem");
  const disk = shared.disk === undefined ? null : parseSizeMib(shared.disk, "--disk");
  const { boot, blobs, says, mounts, ...least } = await bootOf(file, args, options, shared, { memoryMib, disk });
  if (boot.kind !== "oci") refuseForImages(options);
  if (boot.kind !== "oci" && (shared.in !== undefined || (shared.files?.length ?? 0) > 0 || shared.env.length > 0 || shared.dir.length > 0))
    throw new InputError("--in, --dir and --env are for modules and OCI images: a machine of your own takes its inputs from its disks");
  const folders: SharedFolder[] = [];
  for (const text of shared.dir) {
    const { host, guest } = sharedFolder(text);
    if (guest === "/") throw new InputError(`--dir '${text}': an image has files of its own at /; give it another place: ${host}::/data`);
    const before = await readTree(host);
    folders.push({ host, guest, before });
    mounts.push({ mount: { path: guest, writable: true, keep: true }, entries: before });
  }
  if (shared.deterministic && boot.kind !== "kernel")
    throw new InputError("--assurance deterministic-vm boots a kernel: --kernel FILE --initrd FILE");
  // unless it is said, the disk holds the image, and its inputs twice
  const diskMib = boot.kind === "oci" && disk === null ? Math.max(least.diskMib, Math.ceil((2 * inputBytes(mounts)) / MIB)) : least.diskMib;
  const { egress, egressMibMax } = egressOf(options);
  const vcpu = parseCount(shared.cpu, "--cpu", 64);
  const windows = options.windows === true;
  const machine: Omit<VmSpec, "inputs" | "fuelMax" | "seed" | "clockBaseMs" | "engine"> = {
    vm: boot,
    machine: options.machine ?? (windows || boot.kind === "disk" ? "q35" : "pc"),
    firmware: windows || options.uefi ? "uefi" : "bios",
    devices: windows ? "emulated" : "virtio",
    tpm: windows || options.tpm === true,
    vcpu,
    memoryMib,
    diskMib,
    ...(windows || options.screen === true ? { screen: true as const } : {}),
    outputMibMax: parseSizeMib(shared.maxOutput, "--max-output"),
    network: options.network === true || egress !== "none" || options.sshKey !== undefined,
    egress,
  };
  const build: ParsedVm["build"] = (vmEngine, fuelMax) =>
    buildVm({ ...machine, driver: options.driver, engine: shared.deterministic ? vmEngine : null, mounts, blobs, fuelMax });
  build("any", 1n); // what no server can run is refused before anybody is asked for a price
  return {
    says,
    shared: folders,
    resources: { vcpu, memoryMib: leaseMemoryMib(machine, options), diskMib },
    ordered: { driver: options.driver, accel: options.accel, egress, egressMibMax },
    conditions: [
      ...(isFetched(boot) ? [FETCH_CONDITION] : []),
      ...(machine.screen === true ? [{ key: `label.${SCREEN_LABEL.name}`, op: "=" as const, value: SCREEN_LABEL.value }] : []),
    ],
    showsConsole: boot.kind !== "oci",
    build,
  };
}
