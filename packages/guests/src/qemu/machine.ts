/**
 * A lease's machine from its specification to its end: looks at the images, lays out the folder, starts QEMU stopped, and says how it ended. Who
 * controls the inputs: the customer (specification, images), the guest (everything afterwards).
 */
import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { chmod, copyFile, link, mkdir, open, readFile, rm, stat, writeFile } from "node:fs/promises";
import path from "node:path";
import { PassThrough } from "node:stream";
import type { InputEntry, InputTree } from "@xenoservers/protocol/channel";
import type { VmSpec } from "@xenoservers/protocol";
import { pack } from "tar-stream";
import { readGuestFile } from "../guest.ts";
import { boxed, uidOf, type BoundFile } from "./box.ts";
import { OCI_DISK_MIB_MIN, blankFormatted, blankOverlay, checkInside } from "./disks.ts";
import type { QemuHost } from "./host.ts";
import { checkImage } from "./image.ts";
import { JobPort, newToken, type OciEnd } from "./job-port.ts";
import { ImageError, layerDisk } from "./layers.ts";
import { VM_FILES, planVm, type PlanInput } from "./plan.ts";
import { instructionsOf, loadState, saveState } from "./state.ts";
import { takeSnapshot, type SnapshotSource } from "./snapshot.ts";
import type { Template, Templates } from "./templates.ts";
import { boxPath, followVm, giveToBox, launchVm, makeVmFolder, type LaunchInput, type Vm, type VmEnd, type VmHandle } from "./vm.ts";

const MIB = 1024 * 1024;
const JOB_PORT_MS = 20_000;

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

export type MachineEnd =
  | { kind: "job"; exitCode: number; tree: InputEntry[] }
  | { kind: "deterministic"; instructions: bigint; memoryHash: string }
  | Exclude<VmEnd, { kind: "crashed" }>
  | { kind: "crashed"; detail: string };

/** What finds the machine again. */
export interface MachineToken {
  folder: string;
  pid: number;
  startTicks: string;
  kind: "oci" | "deterministic" | "other";
  outputMibMax: number;
  diskMib: number;
  uid: number;
  /** What lies under its disk; empty where it has none. */
  base: string;
  baseFormat: string;
  cgroup: string;
  cgroupKind: string;
  ociToken: string;
  [key: string]: string | number;
}

export interface MachinesOptions {
  host: QemuHost;
  /** For the machines of leases. */
  folder: string;
  /** For what is built once: layers, blank disks, snapshots. */
  cache: string;
  diskIopsMax: number;
  diskBytesPerSecondMax: number;
  templates: Templates | null;
}

export class Machines {
  readonly options: MachinesOptions;

  constructor(options: MachinesOptions) {
    this.options = options;
  }

  /** Everything up to QEMU stopped before the first instruction. Throws ImageError where the customer's bytes are at fault. */
  async prepare(ordered: MachineJob): Promise<Machine> {
    const { host, folder: all } = this.options;
    const job = ordered.from ? { ...ordered, spec: { ...ordered.from.spec, outputMibMax: ordered.spec.outputMibMax, egress: ordered.spec.egress } } : ordered;
    const { spec, name, deterministic, from } = job;
    this.#refuseWhatIsMissing(spec);
    const folder = path.join(all, name.slice(0, 24));
    await rm(folder, { recursive: true, force: true });
    await makeVmFolder(folder);
    try {
      const laid = await this.#layOut(job, folder);
      const template = laid.oci && !from && this.options.templates ? await this.options.templates.find(laid.templateKey) : null;
      const cgroup = await host.limits.create(name.slice(0, 24), { vcpu: spec.vcpu, memoryMib: job.memoryMib });
      const input: PlanInput = { ...laid.plan, restore: template ? { memory: "/proc/self/fd/9", memorySize: spec.memoryMib } : from ? "stream" : null };
      let { files } = laid;
      const disk = template?.disk ?? from?.disk ?? null;
      if (disk !== null) {
        // a snapshot may be dropped while machines live that began with it
        const own = path.join(folder, "base.qcow2");
        await link(disk, own).catch(() => copyFile(disk, own));
        files = [...laid.files.filter((file) => file.name !== "disk"), { host: own, name: "disk" }];
        input.files = { ...input.files, base: { path: "/img/disk", format: "qcow2" } };
      }
      const launch: LaunchInput = {
        ...{ folder, name, args: planVm(input), kvm: host.accel === "kvm" && !deterministic, tpm: spec.tpm, cgroup, outputMibMax: spec.outputMibMax },
        files,
        fileMibMax: Math.max(spec.diskMib + 64 + Math.ceil(spec.diskMib / 64), spec.outputMibMax + 16, deterministic ? spec.memoryMib : 0),
        ...(template ? { descriptor: template.memoryFile } : {}),
      };
      const vm = await launchVm(launch);
      if (template) await template.restore(vm);
      if (from) await loadState(vm, from.state);
      const token: MachineToken = {
        ...{ folder, pid: vm.handle.id.pid, startTicks: vm.handle.id.startTicks, outputMibMax: spec.outputMibMax, diskMib: spec.diskMib },
        uid: vm.uid,
        base: files.find((file) => file.name === "disk")?.host ?? "",
        baseFormat: input.files.base?.format ?? "",
        kind: laid.oci && !from ? "oci" : deterministic ? "deterministic" : "other",
        cgroup: (cgroup?.folders ?? []).join(" "),
        cgroupKind: cgroup?.kind ?? "",
        ociToken: newToken(),
      };
      return new Machine(vm, token, { job, begunAs: { template, templates: laid.oci ? this.options.templates : null, laid } });
    } catch (error) {
      await rm(folder, { recursive: true, force: true });
      throw error;
    }
  }

  /** Makes the snapshot that guests of this image and shape start from, unless it is there. */
  async buildTemplate(spec: VmSpec, blobFile: (digest: string) => string): Promise<void> {
    const { host, folder: all, templates } = this.options;
    const folder = path.join(all, `template-${process.hrtime.bigint()}`);
    await makeVmFolder(folder);
    try {
      const laid = await this.#layOut(
        { name: "00000003", customer: "", spec, inputs: { entries: [], mounts: [] }, memoryMib: spec.memoryMib, deterministic: false, from: null, blobFile },
        folder,
      );
      await templates?.build(laid.templateKey, { ...laid, kvm: host.accel === "kvm" });
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  }

  #refuseWhatIsMissing(spec: VmSpec): void {
    const { host } = this.options;
    if (spec.vm.kind === "oci" && !host.stock) throw new ImageError(`this server cannot boot OCI images (${host.stockWhy})`);
    if (spec.firmware === "uefi" && !host.uefi) throw new ImageError("this server has no UEFI firmware (ovmf)");
    if (spec.tpm && !host.tpm) throw new ImageError("this server has no software TPM (swtpm)");
    if (spec.machine === "microvm" && (spec.vm.kind !== "kernel" || spec.firmware === "uefi" || spec.tpm))
      throw new ImageError("a microvm boots a kernel, without UEFI or TPM");
    if (spec.devices === "emulated" && spec.machine === "microvm") throw new ImageError("a microvm has virtio devices only");
  }

  async #layOut(job: MachineJob, folder: string): Promise<Laid> {
    const { host, cache, diskIopsMax, diskBytesPerSecondMax } = this.options;
    const { spec, deterministic } = job;
    const { vm } = spec;
    const uid = uidOf(job.name);
    const files: BoundFile[] = [];
    const planned: PlanInput["files"] = {};
    /** A file of the distribution, which everybody may read. */
    const bindSystem = (host: string, name: string): string => {
      files.push({ host, name });
      return `/img/${name}`;
    };
    /** A file that this program keeps, in folders that nobody else can enter. */
    const bind = async (host: string, name: string): Promise<string> => {
      await chmod(host, 0o444);
      return bindSystem(host, name);
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
        if (vm.image.format === "qcow2") await this.#checkInBox(image, folder, uid);
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
        const layer = await layerDisk({ digest, compression, file: job.blobFile(digest), bytesMax: spec.diskMib * MIB }, path.join(cache, "layers"));
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
  async #checkInBox(image: string, folder: string, uid: number): Promise<void> {
    const box = path.join(folder, "box");
    await giveToBox(box, uid);
    const description = JSON.stringify({ driver: "qcow2", backing: null, "read-only": true, file: { driver: "file", filename: "/img/disk", locking: "off" } });
    await checkInside(
      await boxed({ folder: box, files: [{ host: image, name: "disk" }], kvm: false, tpm: false, cgroup: null, fileMibMax: 1, uid }, [
        "qemu-img",
        "check",
        "-q",
        `json:${description}`,
      ]),
    );
  }

  /** A machine of an earlier daemon; one that is gone ends as crashed. */
  async adopt(token: MachineToken, job: MachineJob): Promise<Machine> {
    const handle: VmHandle = {
      ...{ folder: token.folder, id: { pid: token.pid, startTicks: token.startTicks }, uid: token.uid, outputMibMax: token.outputMibMax },
      cgroup: token.cgroup === "" ? null : { kind: token.cgroupKind as "cgroup1", folders: token.cgroup.split(" ") },
    };
    const vm = await followVm(handle).catch(() => null);
    const machine = new Machine(vm, token, { job, begunAs: null });
    await machine.goOn();
    return machine;
  }
}

interface Laid {
  plan: PlanInput;
  files: BoundFile[];
  oci: boolean;
  templateKey: string;
}

async function blankRaw(cache: string, diskMib: number): Promise<string> {
  const file = path.join(cache, `blank-${diskMib}.raw`);
  await mkdir(cache, { recursive: true, mode: 0o700 });
  const handle = await open(file, "a");
  await handle.truncate(diskMib * MIB);
  await handle.close();
  return file;
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

/** Inputs as an archive, laid out as they lie below the guest's root. */
function tarOf({ entries, mounts }: InputTree, blobFile: (digest: string) => string): PassThrough {
  const out = new PassThrough();
  const writer = pack();
  writer.pipe(out);
  void (async () => {
    const made = new Set<string>();
    const folder = (name: string): void => {
      const parts = name.split("/");
      for (let i = 1; i <= parts.length; i++) {
        const at = parts.slice(0, i).join("/");
        if (!made.has(at)) writer.entry({ name: at, type: "directory", mode: 0o755 });
        made.add(at);
      }
    };
    for (const { path: mount } of mounts) folder(mount.slice(1));
    for (const entry of entries) {
      const parent = entry.path.split("/").slice(0, -1).join("/");
      if (parent !== "") folder(parent);
      if (entry.kind === "directory") folder(entry.path);
      else if (entry.kind === "link") writer.entry({ name: entry.path, type: "symlink", linkname: entry.target });
      else {
        const target = writer.entry({ name: entry.path, size: entry.size, mode: 0o755 });
        for await (const part of createReadStream(blobFile(entry.digest)))
          if (!target.write(part)) await new Promise((resolve) => target.once("drain", resolve));
        target.end();
      }
    }
    writer.finalize();
  })().catch((error: Error) => out.destroy(error));
  return out;
}

interface Given {
  job: MachineJob;
  /** Null where an earlier daemon began it. */
  begunAs: { template: Template | null; templates: Templates | null; laid: Laid } | null;
}

/** How far a machine has come, for a daemon that finds it: begun, its init ready, its job given. */
const PROGRESS = ["prepared", "begun", "ready", "given"] as const;
type Progress = (typeof PROGRESS)[number];

export class Machine {
  readonly token: MachineToken;
  readonly ended: Promise<MachineEnd>;
  readonly vm: Vm | null;
  readonly #given: Given;
  #finish!: (end: MachineEnd) => void;
  #port: JobPort | null = null;
  #released = false;

  constructor(vm: Vm | null, token: MachineToken, given: Given) {
    this.vm = vm;
    this.token = token;
    this.#given = given;
    this.ended = new Promise((resolve) => (this.#finish = resolve));
    if (!vm) {
      void this.#earlierEnd().then((end) => this.#finish(end));
      return;
    }
    void vm.ended.then((end) => this.#vmEnded(end)).catch((error: Error) => this.#finish({ kind: "crashed", detail: error.message }));
  }

  async #progress(): Promise<Progress> {
    const text = await readFile(path.join(this.token.folder, "progress"), "utf8").catch(() => "prepared");
    return PROGRESS.find((each) => each === text) ?? "prepared";
  }

  #came(to: Progress): Promise<void> {
    return writeFile(path.join(this.token.folder, "progress"), to, { mode: 0o600 });
  }

  get #out(): string {
    return path.join(this.token.folder, "out");
  }

  get #endFile(): string {
    return path.join(this.token.folder, "end.json");
  }

  /** It ended while no daemon lived, or was told before. */
  async #earlierEnd(): Promise<MachineEnd> {
    const text = await readFile(this.#endFile, "utf8").catch(() => null);
    if (text === null) return { kind: "crashed", detail: "the machine is gone: its host was restarted, or it was killed" };
    const end = JSON.parse(text) as OciEnd & { kind?: string; instructions?: string; memoryHash?: string };
    if (end.kind === "deterministic") return { kind: "deterministic", instructions: BigInt(end.instructions!), memoryHash: end.memoryHash! };
    return { kind: "job", exitCode: end.exitCode, tree: end.tree };
  }

  async begin(): Promise<void> {
    await this.#came(this.#given.begunAs?.template ? "ready" : "begun");
    await this.vm!.begin();
    this.#startJob();
  }

  /** Takes it up where an earlier daemon left it. */
  async goOn(): Promise<void> {
    if (!this.vm) return;
    if ((await this.#progress()) === "prepared") return this.begin();
    this.#startJob();
  }

  #startJob(): void {
    if (this.token.kind === "oci") void this.#runJob().catch((error: Error) => this.#finish({ kind: "crashed", detail: error.message }));
  }

  async #openPort(): Promise<JobPort> {
    for (const deadline = Date.now() + JOB_PORT_MS; ;) {
      const port = this.#released ? null : await JobPort.open(boxPath(this.token.folder, VM_FILES.job)).catch(() => null);
      if (port && this.#released) port.close(); // another has it now
      if (this.#released) return new Promise<never>(() => {});
      if (port) return port;
      if (Date.now() > deadline) throw new Error("the guest's job port does not open");
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }

  async #runJob(): Promise<void> {
    const { job } = this.#given;
    const { vm } = job.spec;
    if (vm.kind !== "oci") return;
    const port = await this.#openPort();
    this.#port = port;
    const progress = await this.#progress();
    if (progress === "given") port.ask();
    else {
      if (progress !== "ready" && !(await port.ready())) return; // the machine's own end says why
      await this.#came("ready");
      const keep = job.inputs.mounts.filter((mount) => mount.keep).map((mount) => mount.path);
      const tar = (): PassThrough => tarOf(job.inputs, job.blobFile);
      let bytes = 0;
      for await (const part of tar()) bytes += (part as Buffer).length;
      await this.#came("given");
      await port.give({ ...vm, hostname: vm.hostname === "" ? "xeno" : vm.hostname, keep }, this.token.ociToken, tar(), bytes);
    }
    await this.#takeEnd(port);
  }

  async #takeEnd(port: JobPort): Promise<void> {
    const end = await port.end(this.token.ociToken, this.#out, this.token.diskMib * MIB);
    if (end === null) return;
    await writeFile(this.#endFile, JSON.stringify(end), { mode: 0o600 });
    port.thank();
    this.#finish({ kind: "job", ...end });
    await this.vm!.quit();
    const { begunAs } = this.#given;
    if (!begunAs?.templates || begunAs.template) return;
    await begunAs.templates.build(begunAs.laid.templateKey, { ...begunAs.laid, kvm: begunAs.laid.plan.accel === "kvm" });
  }

  async #vmEnded(end: VmEnd): Promise<void> {
    const vm = this.vm!;
    if (this.#released) return;
    if (end.kind === "shutdown" && this.token.kind === "deterministic") {
      const memory = createHash("sha256");
      for await (const part of createReadStream(boxPath(this.token.folder, VM_FILES.memory))) memory.update(part as Buffer);
      const instructions = instructionsOf(await saveState(vm));
      const done = { kind: "deterministic" as const, instructions, memoryHash: memory.digest("hex") };
      await writeFile(this.#endFile, JSON.stringify({ ...done, instructions: instructions.toString() }), { mode: 0o600 });
      await vm.quit();
      return this.#finish(done);
    }
    if (end.kind === "shutdown" && this.token.kind === "oci") {
      // between the guest's thanks and its power-off the job's end is on its way; a guest that powers itself down has no exit code
      const told = await Promise.race([this.ended, new Promise<null>((resolve) => setTimeout(() => resolve(null), 500))]);
      if (told) return;
      await vm.quit();
      return this.#finish({ kind: "crashed", detail: await this.#lastConsole() });
    }
    await vm.quit();
    this.#finish(end);
  }

  /** What the guest said last, where it gave up by itself. */
  async #lastConsole(): Promise<string> {
    const size = (await stat(boxPath(this.token.folder, VM_FILES.consoleLog)).catch(() => ({ size: 0 }))).size;
    const text = Buffer.from((await this.vm?.read("console", Math.max(0, size - 2_000))) ?? []).toString("utf8");
    const said = text
      .split("\n")
      .filter((line) => line.includes("xeno-init:"))
      .at(-1);
    return said?.trim() ?? "the guest powered down before its job ended";
  }

  /** The guest stands still meanwhile. Throws where it has ended. */
  async snapshot(folder: string): Promise<void> {
    if (!this.vm) throw new Error("the machine has ended");
    const { base, baseFormat } = this.token;
    await takeSnapshot(this.vm, folder, base === "" ? null : { file: base, format: baseFormat as "raw" });
  }

  readOutput(digest: string, offset: number, length: number): Promise<Uint8Array> {
    return readGuestFile(path.join(this.#out, digest), offset, length);
  }

  async stop(): Promise<void> {
    await this.vm?.stop(this.token.kind === "other");
  }

  release(): void {
    this.#released = true;
    this.#port?.close();
    this.vm?.release();
  }

  async dispose(): Promise<void> {
    await this.vm?.quit();
    await rm(this.token.folder, { recursive: true, force: true });
  }
}
