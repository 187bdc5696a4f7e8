/**
 * The domains of one server: made for leases, found again after a restart. Whatever bears this server's mark and belongs to no lease is
 * destroyed when it opens. Who controls the inputs: the customer (specification, files).
 */
import { mkdir, readdir, rm, stat, writeFile } from "node:fs/promises";
import path from "node:path";
import { DEVICE_MODEL_MIB, kernelProblem, kernelSizeProblem, screenMibOf, type VmSpec } from "@xenoservers/protocol";
import type { InputTree } from "@xenoservers/protocol/channel";
import { cacheFor, removeUnfinished, type Cache } from "../qemu/images/cache.ts";
import type { Stock } from "../qemu/images/stock.ts";
import { bootOfHost } from "../qemu/machine/gone.ts";
import { headOf } from "../qemu/machine/layout.ts";
import { newToken } from "../qemu/oci/job-port.ts";
import { Refusal } from "../qemu/refusal.ts";
import { hashedFiles } from "../hashed-files.ts";
import { messageOf } from "../thrown.ts";
import { Domain } from "./domain.ts";
import type { DomainToken, DomainWork } from "./domain-token.ts";
import { layOutSaved, restored, savedVm, type ComingDomain, type SavedDomain } from "./domain-fork.ts";
import { XENCONSOLED, type ConsoleDaemon } from "./console-daemon.ts";
import { ringCommand, type WireCommand } from "./console-wire.ts";
import { bootsByGrub } from "./boot-settings.ts";
import { leaveConsole } from "./domain-console.ts";
import type { CardRules } from "./domain-card.ts";
import { leaveNetwork } from "./domain-network.ts";
import { growTo, overlayMib, sweepOverlays } from "./disk-overlay.ts";
import { BASE, SEED, blankDisk, held, isThere, sweepDevices } from "./domain-disk.ts";
import { commandLineOfImage, disksOfImage, layOutImage } from "./domain-image.ts";
import { imageBase } from "./image-disk.ts";
import { writeSeed } from "./domain-seed.ts";
import { domainName, domainUuid, hasMark } from "./domain-names.ts";
import { markIn } from "./domain-mark.ts";
import { BackEndThreads } from "./back-end-threads.ts";
import { XEN_DEVICES, backEndGroup, leaveBackEnd, type BackEnds, type DiskRates } from "./domain-back-end.ts";
import { ROOM, type RoomRules } from "./domain-room.ts";
import { DomainWatch } from "./domain-watch.ts";
import { MEDIUM, isEmulated, layOutDeviceModel, leaveDeviceModel } from "./device-model.ts";
import type { DomainKind, DomainPlan } from "./domain-config.ts";
import { trialKernel } from "./trial-kernel.ts";
import { XlError, type Xl } from "./xl.ts";

const MIB = 1024 * 1024;
const DISK = "disk.raw";
/** The boot loader of disk images, which is the distribution's. */
const LOADER_MIB = 4;

export interface DomainJob {
  /** The lease's id, hex. */
  name: string;
  customer: string;
  spec: VmSpec;
  /** Of an OCI image. */
  inputs: InputTree;
  /** What is made for it is made for no other domain of its customer's. */
  forgets?: boolean;
  blobFile(digest: string): string;
  /** What it goes on from: a snapshot, where its specification says one, or the domain that comes from another host. */
  from?: SavedDomain | ComingDomain | null;
  /** Of the lease's memory, beside what the domain takes in any case. */
  spareMib: number;
  /** Aborted where nobody wants it any more. */
  signal?: AbortSignal;
}

interface DomainsOptions {
  xl: Xl;
  kind: DomainKind;
  /** What boots a disk image by its own kernel; null where there is none. */
  loader: string | null;
  /** What boots OCI images; null where something is missing. */
  stock: Stock | null;
  /** Of network cards; null where something that they need is missing. */
  card: CardRules | null;
  /** Whether there are domains with a BIOS and emulated hardware. */
  emulates: boolean;
  /** How fast each disk of a domain may be. */
  rates: DiskRates;
  /** For disks that are made once. */
  cache: Cache;
  /** For the domains of leases. */
  folder: string;
  /** What holds the other side of consoles, in place of xenconsoled: for tests. */
  consoleDaemon?: ConsoleDaemon;
  /** What is at the other end of a domain's other consoles: for tests. */
  wireCommand?: WireCommand;
  /** How full the host's disk may be: for tests. */
  roomRules?: RoomRules;
  log(what: string, facts: Record<string, unknown>): void;
}

/** What boots here beside customers' own kernels. */
export interface Bootable {
  /** Disk images, by their own kernels; null where nothing does. */
  loader: string | null;
  /** OCI images; null where nothing does. */
  stock: Stock | null;
  /** What network cards may do; null where there are none. */
  card: CardRules | null;
  /** Domains with a BIOS and emulated hardware (HVM). */
  emulates: boolean;
}

/**
 * Whether it is a domain with emulated hardware: only where nothing less shows what was ordered, or boots it. A kernel that is given, and
 * a disk that GRUB boots beside Xen's own devices, need none.
 */
const wantsEmulation = ({ vm, screen }: VmSpec, { loader, emulates }: Bootable): boolean =>
  screen === true || (vm.kind === "disk" && (vm.image === null || vm.iso !== null || (loader === null && emulates)));

/** What QEMU may take of dom0's memory for such a domain, in MiB; 0 for others. */
export const deviceModelMibOf = (spec: VmSpec, bootable: Bootable): number =>
  wantsEmulation(spec, bootable) ? DEVICE_MODEL_MIB + screenMibOf(spec) : 0;

interface LaidOut {
  /** Of the files that xl reads. */
  kernelMib: number;
  /** It is a disk that nothing less than a BIOS boots here. */
  needsBios: boolean;
}

/** A domain's folder, and the network that one that is gone had. */
async function removed(folder: string): Promise<void> {
  await leaveNetwork(folder);
  await leaveDeviceModel(folder, path.basename(folder));
  await leaveBackEnd(path.basename(folder));
  await hashedFiles.remove(folder);
}

/** What of a specification no domain is here, in words for its customer; null when one can be it. */
export function domainProblem(
  { vm, firmware, devices, tpm, screen, network, engine }: VmSpec,
  { loader, stock, card, emulates }: Bootable,
): string | null {
  const disk = vm.kind === "disk" ? vm : null;
  const emulation = "this server's host makes no domains with emulated hardware (HVM; xeno serve --check says why there)";
  const checks: readonly (readonly [isRight: boolean, why: string])[] = [
    [
      vm.kind !== "oci" || stock !== null,
      "this server boots no OCI images (packages for them are missing): order --kernel FILE --initrd FILE",
    ],
    [
      disk === null || loader !== null || emulates,
      "this server boots no disk images (packages for them are missing): order --kernel FILE --initrd FILE",
    ],
    [disk === null || disk.image !== null || emulates, `${emulation}, and a medium boots on one: order --vm FILE`],
    [disk === null || disk.iso === null || emulates, `${emulation}, and others have no CD drive: order it without --iso`],
    [
      [disk?.image, disk?.iso].every((each) => (each?.url ?? null) === null),
      "this server's domains boot images that are sent: give --vm and --iso files",
    ],
    [devices === "virtio", "a Xen domain has no UEFI, TPM or emulated network card here, which Windows needs: order it without --windows"],
    [firmware === "bios", "a Xen domain has no UEFI firmware here: order it without --uefi"],
    [!tpm, "a Xen domain has no TPM here: order it without --tpm"],
    [screen !== true || emulates, `${emulation}, and only these have screens: order it without --screen`],
    [
      !network || card !== null,
      "this server's domains have no network (something for it is missing): order without --network, --ssh-key and --egress",
    ],
    [engine === null, "a Xen domain does not run alike everywhere: order --driver qemu for deterministic-vm"],
  ];
  return checks.find(([isRight]) => !isRight)?.[1] ?? null;
}

export class Domains {
  readonly #options: DomainsOptions;
  readonly #watch: DomainWatch;
  readonly #backEnds: BackEnds;
  #mark = "";

  constructor(options: DomainsOptions) {
    this.#options = options;
    this.#backEnds = { threads: new BackEndThreads(), rates: options.rates, groupOf: backEndGroup, devices: XEN_DEVICES };
    this.#watch = new DomainWatch(options.xl, (why) => options.log("the toolstack does not say which domains there are", { error: why }));
  }

  /** Lets go of domains that no lease uses (`inUse` are the folders of those that do), and of what an earlier daemon has not finished. */
  async open(inUse: readonly string[]): Promise<void> {
    const { folder, xl, cache, log } = this.#options;
    await removeUnfinished(cache.folder);
    await mkdir(folder, { recursive: true, mode: 0o700 });
    this.#mark = await markIn(folder);
    const used = new Set(inUse.map((each) => path.basename(each)));
    const kept = new Set([...used].map((name) => domainUuid(this.#mark, name)));
    for (const { name, uuid, id } of await xl.list())
      if (hasMark(this.#mark, uuid) && !kept.has(uuid)) {
        log("a domain of no lease is destroyed", { name });
        // one that cannot be is dying, and holds nobody up
        await xl.destroy(id).catch((error: unknown) => log("a domain could not be destroyed", { name, error: messageOf(error) }));
      }
    for (const entry of await readdir(folder, { withFileTypes: true })) {
      if (!entry.isDirectory() || used.has(entry.name)) continue;
      await leaveConsole(path.join(folder, entry.name));
      await removed(path.join(folder, entry.name));
    }
    await sweepOverlays(this.#mark);
    await sweepDevices(folder);
  }

  /** Everything up to the guest's first instruction. Throws Refusal where it is not the host that is at fault. */
  async prepare(job: DomainJob): Promise<Domain> {
    const { name: lease, from = null, signal } = job;
    const spec = from ? { ...job.spec, vm: from.spec.vm } : job.spec;
    if (spec.vm.kind === "snapshot") throw new Refusal("job", "there is no snapshot for it to go on from");
    const problem = domainProblem(spec, this.#options);
    if (problem !== null) throw new Refusal("job", problem);
    const name = domainName(lease);
    const folder = path.join(this.#options.folder, name);
    if (await isThere(folder)) await removed(folder);
    await mkdir(folder, { mode: 0o700 });
    try {
      const { outputMibMax, diskMib, vm } = spec;
      const jobToken = vm.kind === "oci" ? newToken() : "";
      const { kernelMib, needsBios } = await this.#laidOut({ ...job, spec }, folder, jobToken);
      const deviceModelMib = needsBios ? DEVICE_MODEL_MIB + screenMibOf(spec) : deviceModelMibOf(spec, this.#options);
      if (deviceModelMib > job.spareMib)
        throw new Refusal(
          "job",
          `the disk has no settings of GRUB's for Linux, so QEMU boots it: order ${deviceModelMib} MiB more memory, or --screen`,
        );
      if (deviceModelMib > 0) await layOutDeviceModel(folder, name, deviceModelMib);
      const token = { folder, name, uuid: domainUuid(this.#mark, name), outputMibMax, diskMib, jobToken, boot: await bootOfHost() };
      const work = { spec, plan: await this.#planOf(token, spec), kernelMib };
      if (from) return await restored(this.#domain(token, work), from, { folder, file: path.join(folder, DISK), signal });
      return await this.#made(token, work, signal);
    } catch (error) {
      await removed(folder);
      throw error;
    }
  }

  /** The domain's files in its folder; what xl reads of them. Throws Refusal where they cannot be what they are said to be. */
  async #laidOut({ name: lease, spec, blobFile, from, signal, ...job }: DomainJob, folder: string, token: string): Promise<LaidOut> {
    const { vm, diskMib, memoryMib } = spec;
    const { stock, cache } = this.#options;
    const file = path.join(folder, DISK);
    if (vm.kind === "oci" && stock) {
      await layOutImage({ ...job, spec, blobFile, signal, folder, file, token }, stock, cache);
      return { kernelMib: Math.ceil(((await stat(stock.kernel)).size + (await stat(stock.initrd)).size) / MIB), needsBios: false };
    }
    let needsBios = false;
    if (from) await layOutSaved(from, { folder, file, signal });
    else if (vm.kind === "disk" && vm.image !== null) {
      const { digest, format } = vm.image;
      const image = { image: blobFile(digest), format, digest, diskMib, folder, lease, signal };
      const own = cacheFor(cache, { ...job, folder });
      const base = await imageBase(image, own);
      await held(base, path.join(folder, BASE));
      needsBios = this.#options.emulates && !(await bootsByGrub(path.join(folder, BASE), path.basename(base), own));
      growTo(path.join(folder, BASE), diskMib * MIB);
      await blankDisk(file, overlayMib(diskMib));
      await writeSeed(vm.seed, { blobFile, to: path.join(folder, SEED) });
    } else if (vm.kind === "disk" && diskMib > 0) await blankDisk(file, diskMib);
    if (vm.kind === "disk" && vm.iso !== null) await held(blobFile(vm.iso.digest), path.join(folder, MEDIUM));
    if (vm.kind !== "kernel") return { kernelMib: LOADER_MIB, needsBios };
    const { kernel, initrd } = vm;
    const kernelBytes = (await stat(blobFile(kernel))).size;
    const initrdBytes = initrd === null ? 0 : (await stat(blobFile(initrd))).size;
    const small = kernelSizeProblem(kernelBytes, initrdBytes, memoryMib);
    if (small !== null) throw new Refusal("job", small);
    const notOne = kernelProblem(await headOf(blobFile(kernel)));
    if (notOne !== null) throw new Refusal("bytes", notOne);
    await held(blobFile(kernel), path.join(folder, "kernel"));
    if (initrd !== null) await held(blobFile(initrd), path.join(folder, "ramdisk"));
    if (diskMib > 0 && !from) await blankDisk(file, diskMib);
    return { kernelMib: Math.ceil((kernelBytes + initrdBytes) / MIB), needsBios };
  }

  /**
   * Xen itself says whether it takes a kernel. Where it makes twice no domain of the customer's files, and does make one of that size
   * without them, it is they that are at fault; else the host is. Throws Refusal in the first case.
   */
  async #made(token: DomainToken, work: DomainWork, signal: AbortSignal | undefined): Promise<Domain> {
    const domain = this.#domain(token, work);
    try {
      await domain.make(signal);
      return domain;
    } catch (error) {
      if (!(error instanceof XlError)) throw error;
      signal?.throwIfAborted();
      const again = await domain.make(signal).catch((second: unknown) => second);
      if (again === undefined) return domain;
      const kernel = work.plan.emulation ? null : path.join(token.folder, "trial");
      if (kernel !== null) await writeFile(kernel, trialKernel(), { mode: 0o600 });
      const plan = { ...work.plan, kernel, ramdisk: null, commandLine: "" };
      const control = this.#domain(token, { ...work, plan, kernelMib: 1 });
      if (await control.make(signal).catch((failed: unknown) => failed)) throw error;
      await control.unmake();
      throw new Refusal("bytes", `Xen makes no domain of these files: ${error.message}`, { cause: error });
    }
  }

  async #planOf({ folder, name, uuid }: DomainToken, { vm, vcpu, memoryMib, diskMib, network, screen }: VmSpec): Promise<DomainPlan> {
    const [base, seed] = [path.join(folder, BASE), path.join(folder, SEED)];
    const { stock, card } = this.#options;
    const emulation = (await isEmulated(folder))
      ? { folder, hasScreen: screen === true, hasMedium: vm.kind === "disk" && vm.iso !== null }
      : null;
    const kind = emulation ? "hvm" : this.#options.kind;
    const all = { kind, name, uuid, vcpu, memoryMib, ...(network && card ? { card } : {}), ...(emulation ? { emulation } : {}) } as const;
    if (vm.kind === "oci") {
      const beside = await disksOfImage(folder);
      const boots = {
        kernel: stock?.kernel ?? "",
        ramdisk: path.join(folder, "ramdisk"),
        commandLine: commandLineOfImage(beside.length + 1),
      };
      return { ...all, ...boots, disk: path.join(folder, DISK), beside };
    }
    return {
      ...all,
      kernel: vm.kind === "kernel" ? path.join(folder, "kernel") : emulation ? null : (this.#options.loader ?? ""),
      ramdisk: vm.kind === "kernel" && vm.initrd !== null ? path.join(folder, "ramdisk") : null,
      commandLine: vm.kind === "kernel" ? vm.append : "",
      disk: diskMib > 0 ? path.join(folder, DISK) : null,
      ...((await isThere(base)) ? { over: { base, name, uuid, diskMib } } : {}),
      ...((await isThere(seed)) ? { beside: [{ file: seed, isWritable: false }] } : {}),
    };
  }

  /** Where what a domain goes on from is put while it comes from another host. A daemon that starts removes it. */
  async arrivingFolder(lease: string): Promise<string> {
    const folder = path.join(this.#options.folder, `arriving-${lease.slice(0, 24)}`);
    await rm(folder, { recursive: true, force: true });
    await mkdir(folder, { mode: 0o700 });
    return folder;
  }

  /** One that an earlier daemon made, and that is not to begin. */
  async discard({ folder, uuid }: DomainToken): Promise<void> {
    for (const each of await this.#options.xl.list()) if (each.uuid === uuid) await this.#options.xl.destroy(each.id);
    await leaveConsole(folder);
    await removed(folder);
  }

  #domain(token: DomainToken, work: DomainWork): Domain {
    const { xl, log, consoleDaemon = XENCONSOLED, wireCommand = ringCommand, roomRules = ROOM } = this.#options;
    const parts = { xl, watch: this.#watch, consoleDaemon, wireCommand, roomRules, backEnds: this.#backEnds, log };
    return new Domain(parts, token, work);
  }

  /** A domain of an earlier daemon; one that is gone has ended. */
  async adopt(token: DomainToken, ordered: VmSpec): Promise<Domain> {
    const spec = ordered.vm.kind === "snapshot" ? { ...ordered, vm: await savedVm(token.folder) } : ordered;
    const kernelBytes = await stat(path.join(token.folder, "kernel")).then(
      ({ size }) => size,
      () => 0,
    );
    const work = { spec, plan: await this.#planOf(token, spec), kernelMib: Math.ceil(kernelBytes / MIB) };
    const domain = this.#domain(token, work);
    await domain.goOn();
    return domain;
  }

  close(): void {
    this.#watch.close();
  }
}
