/**
 * What boots a machine: a kernel, disks, an image; from where they lie to digests. Who controls the inputs: whoever runs this; who made the
 * image.
 */
import { DRIVERS } from "@xenoservers/market";
import {
  ARGUMENTS_MAX,
  IMAGE_HEADER_BYTES,
  checkDiskImage,
  diskImageProblem,
  imageSizeProblem,
  isQcow2,
  KERNEL_HEAD_BYTES,
  VOLUMES_MAX,
  kernelProblem,
  kernelSizeProblem,
  mibOf,
  seedProblem,
  visible,
  type ImageFormat,
  type VmBoot,
} from "@xenoservers/protocol";
import type { Blob } from "../blob.ts";
import { envPair } from "../environment.ts";
import { InputError } from "../errors.ts";
import type { Given, OpenedBytes } from "../given-bytes.ts";
import type { JobInput } from "../job.ts";
import type { NamedImage } from "../oci/oci-image.ts";
import { inWords } from "../oci/in-words.ts";
import { mib } from "../words.ts";
import { seedFiles } from "./cloud-seed.ts";
import type { MachinePlace } from "./machine-place.ts";
import { entrypointFrom, processFrom } from "./process-held.ts";
import type { VmOptions } from "./vm-options.ts";

export const MIB = 1024 * 1024;
const OCI_DISK_MIB = 2_048;
/** So much an image may unpack to where no disk is asked for; nothing that is larger comes by chance. */
const UNASKED_MIB = 16 * 1024;
/** What unpacks to more than its disk is looked at so far, to say how large a disk it takes. */
const ASKED_TIMES = 4;
/** Of a user's name, as an order holds it (vm-spec.ts). */
const USER_MAX = 128;
const NO_INPUTS: JobInput["mounts"] = [];

/** What kind of disk a file is, and how large, by its header, as the server will see it. `disk`: what was ordered for it. */
async function diskFile(
  { name, size, read }: OpenedBytes,
  format: ImageFormat | undefined,
  disk: number | null,
): Promise<{ format: ImageFormat; sizeMib: number }> {
  const header = await read(0, Math.min(size, IMAGE_HEADER_BYTES));
  const kind = format ?? (isQcow2(header) ? "qcow2" : "raw");
  const checked = disk === null ? checkDiskImage(header, BigInt(size), kind) : diskImageProblem(header, BigInt(size), kind, disk);
  if (!checked.ok) throw new InputError(`${name}: ${checked.why}`);
  return { format: kind, sizeMib: mibOf(checked.virtualBytes) };
}

/** By a rule that servers have, too. */
function refuseFor(problem: string | null): void {
  if (problem !== null) throw new InputError(problem);
}

const isUrl = (given: Given): given is string => typeof given === "string" && /^https?:\/\//.test(given);

function digestOption(digest: string | undefined, option: string): string {
  const match = /^(?:sha256:)?([0-9a-f]{64})$/.exec(digest ?? "");
  if (!match) throw new InputError(`${option} by address needs --digest sha256:… of its bytes, so that nobody can change them on the way`);
  return match[1]!;
}

export interface Boot {
  boot: VmBoot;
  blobs: Blob[];
  says: string[];
  diskMib: number;
  mounts: JobInput["mounts"];
}

type DiskBoot = Extract<VmBoot, { kind: "disk" }>;

async function mediumOf(
  iso: Given,
  options: VmOptions,
  disk: number | null,
  place: MachinePlace,
): Promise<Pick<Boot, "blobs" | "says"> & { iso: DiskBoot["iso"] }> {
  if (isUrl(iso)) {
    await place.lookFirst(iso, disk);
    return { iso: { digest: digestOption(options.digest, "--iso"), url: iso }, blobs: [], says: [] };
  }
  const medium = await place.open(iso, "--iso");
  const blob = await medium.blob();
  return {
    iso: { digest: blob.digest, url: null },
    blobs: [blob],
    says: [`medium   ${medium.name} (sha256:${blob.digest.slice(0, 12)}…)`],
  };
}

async function diskBoot(options: VmOptions, disk: number | null, place: MachinePlace): Promise<Boot> {
  const blobs: Blob[] = [];
  const says: string[] = [];
  let image: DiskBoot["image"] = null;
  let diskMib = disk ?? 0;
  const { vm } = options;
  if (vm !== undefined && isUrl(vm)) {
    if (disk === null) throw new InputError("--vm by address needs --disk: how large a disk to order for it");
    const digest = digestOption(options.digest, "--vm");
    await place.lookFirst(vm, disk);
    image = { digest, format: options.format ?? "qcow2", url: vm };
    says.push(`image    ${vm} (sha256:${image.digest.slice(0, 12)}…), fetched by the server`);
  } else if (vm !== undefined) {
    const file = await place.open(vm, "--vm");
    const { format, sizeMib } = await diskFile(file, options.format, disk);
    const blob = await file.blob();
    diskMib = Math.max(disk ?? 0, sizeMib);
    image = { digest: blob.digest, format, url: null };
    blobs.push(blob);
    says.push(`image    ${file.name} (${format}, ${mib(sizeMib)}, sha256:${blob.digest.slice(0, 12)}…)`);
  }
  const medium = options.iso === undefined ? null : await mediumOf(options.iso, options, disk, place);
  blobs.push(...(medium?.blobs ?? []));
  says.push(...(medium?.says ?? []));
  const seed = await seedFiles(options, place);
  refuseFor(seedProblem(seed.reduce((sum, { blob }) => sum + blob.size, 0)));
  blobs.push(...seed.map(({ blob }) => blob));
  return {
    boot: { kind: "disk", image, iso: medium?.iso ?? null, seed: seed.map(({ name, blob }) => ({ name, digest: blob.digest })) },
    ...{ blobs, says, diskMib, mounts: NO_INPUTS },
  };
}

async function kernelBoot(kernel: Given, options: VmOptions, { memoryMib, disk }: Room, place: MachinePlace): Promise<Boot> {
  const file = await place.open(kernel, "--kernel");
  const initrd = options.initrd === undefined ? null : await place.open(options.initrd, "--initrd");
  refuseFor(kernelProblem(await file.read(0, Math.min(file.size, KERNEL_HEAD_BYTES))));
  refuseFor(kernelSizeProblem(file.size, initrd?.size ?? 0, memoryMib));
  const blobs = [await file.blob(), ...(initrd ? [await initrd.blob()] : [])] as const;
  return {
    boot: {
      kind: "kernel",
      kernel: blobs[0].digest,
      initrd: blobs[1]?.digest ?? null,
      append: options.append ?? `console=${DRIVERS[options.driver].consoleDevice}`,
    },
    blobs: [...blobs],
    says: [`kernel   ${file.name} (sha256:${blobs[0].digest.slice(0, 12)}…)`],
    diskMib: disk ?? 0,
    mounts: NO_INPUTS,
  };
}

/**
 * What a container engine would start: entrypoint and command of the image, the command replaced by what was typed. A file of this
 * machine is brought along.
 */
async function commandOf(
  image: NamedImage,
  args: string[],
  entrypoint: string | undefined,
  place: MachinePlace,
): Promise<{ args: string[]; script: JobInput["mounts"] }> {
  const first = entrypoint === undefined ? image.entrypoint : entrypointFrom(entrypoint);
  const file = args[0] === undefined ? null : await place.script(args[0]);
  if (file !== null) {
    const { name } = file;
    const script: JobInput["mounts"] = [
      { mount: { path: "/app", writable: false, keep: false }, entries: [{ path: name, kind: "file", blob: await file.blob() }] },
    ];
    return { args: [...first, ...image.command, `/app/${name}`, ...args.slice(1)], script };
  }
  const all = [...first, ...(args.length > 0 ? args : entrypoint === undefined ? image.command : [])];
  if (all.length === 0) throw new InputError("the image starts nothing by itself: say what to run after --");
  if (all[0] === "") throw new InputError("the image starts a program without a name: say what to run after --");
  return { args: all, script: [] };
}

export const inputBytes = (mounts: JobInput["mounts"]): number =>
  mounts.flatMap(({ entries }) => entries).reduce((sum, entry) => sum + (entry.kind === "file" ? entry.blob.size : 0), 0);

/** Why no order holds what an image or its customer asks for; null where it does. */
function heldProblem(held: { args: string[]; variables: number; user: string; volumes: readonly string[] }): string | null {
  const { args, variables, user, volumes } = held;
  if (Math.max(args.length, variables) > ARGUMENTS_MAX)
    return `more than ${ARGUMENTS_MAX} arguments or variables: bring them as a file with --in`;
  if (user.length > USER_MAX || /\p{C}/u.test(user))
    return `the image has no user '${visible(user.slice(0, USER_MAX))}': name another with --user`;
  return volumes.length <= VOLUMES_MAX ? null : `the image has ${volumes.length} volumes; servers take at most ${VOLUMES_MAX}`;
}

async function ociBoot(given: Given, args: string[], options: VmOptions, { env, disk }: ImageMeans, place: MachinePlace): Promise<Boot> {
  // brought here before a server waits for it and its time runs
  const most = (disk === null ? UNASKED_MIB : disk * ASKED_TIMES) * MIB;
  const image = await place.image(given, most);
  const unpackedBytes = (await image.unpackedBytes(most).catch(inWords)) ?? 0;
  if (disk !== null) refuseFor(imageSizeProblem(unpackedBytes, disk));
  const command = await commandOf(image, args, options.entrypoint, place);
  const mounts: JobInput["mounts"] = [...command.script];
  const inputs = await place.inputs();
  if (inputs) mounts.push({ mount: { path: "/in", writable: false, keep: false }, entries: inputs });
  mounts.push({ mount: { path: "/out", writable: true, keep: true }, entries: [] });
  const held = processFrom(options, { stopSignal: image.stopSignal, program: command.args[0] ?? "" }, place.window);
  const set = new Map(image.env.map((each) => envPair(each)));
  for (const each of env) set.set(...envPair(each));
  const user = options.user ?? image.user;
  refuseFor(heldProblem({ args: command.args, variables: set.size, user, volumes: image.volumes }));
  return {
    boot: {
      kind: "oci",
      image: image.digest.slice("sha256:".length),
      layers: image.layers.map(({ blob, compression }) => ({ digest: blob.digest, compression })),
      args: command.args,
      env: [...set].map(([name, value]) => `${name}=${value}`),
      workdir: options.workdir ?? image.workdir,
      ...(image.volumes.length === 0 ? {} : { volumes: image.volumes }),
      user,
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

interface ImageMeans extends Pick<Room, "disk"> {
  env: readonly string[];
}

/** `file`: what was named without an option that says what it is. */
export async function bootOf(
  { file, args, env }: { file: string | undefined; args: string[]; env: readonly string[] },
  options: VmOptions,
  room: Room,
  place: MachinePlace,
): Promise<Boot> {
  if (options.kernel !== undefined) return kernelBoot(options.kernel, options, room, place);
  if (options.vm !== undefined || options.iso !== undefined) return diskBoot(options, room.disk, place);
  const words = options.image === undefined ? args : [...(file === undefined ? [] : [file]), ...args];
  return ociBoot(options.image ?? file!, words, options, { env, disk: room.disk }, place);
}
