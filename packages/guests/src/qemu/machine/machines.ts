/**
 * The machines of one server: made for leases, found again after a restart. Who controls the inputs: the customer (specification,
 * images).
 */
import { randomBytes } from "node:crypto";
import { copyFile, link, mkdir, readdir, rm } from "node:fs/promises";
import path from "node:path";
import { processOf, type VmSpec } from "@xenoservers/protocol";
import { uidOf, type BoundFile } from "./box.ts";
import { SPARE_MS, prune, removeUnfinished } from "../images/cache.ts";
import { PERIOD_US, removeCgroup, type Cgroup, type Share } from "../../cgroup.ts";
import { newToken } from "../oci/job-port.ts";
import { startOci } from "../oci/start.ts";
import { Refusal } from "../refusal.ts";
import { bootOfHost } from "./gone.ts";
import type { QemuHost } from "./host.ts";
import { layOut, refuseWhatCannotBe, type Laid, type LayoutOptions, type MachineJob } from "./layout.ts";
import { Machine } from "./machine.ts";
import { cgroupOf, type MachineToken } from "./machine-end.ts";
import { planVm, type PlanInput } from "./plan.ts";
import { loadState } from "./state.ts";
import type { SnapshotSource } from "../snapshots/snapshot.ts";
import type { Template, Templates } from "../snapshots/templates.ts";
import { NotStarted, Vm, followVm, killVm, launchVm, makeVmFolder, putPrinted, removeVm, type LaunchInput, type VmHandle } from "./vm.ts";

/** What a machine was to start from may be dropped meanwhile, or its keeper be ended. */
class TemplateFailed extends Error {
  override name = "TemplateFailed";
}

interface MachinesOptions extends LayoutOptions {
  /** For the machines of leases. */
  folder: string;
  templates: Templates | null;
  /** For tests: how long the host's disk may be full before a machine ends for it. */
  fullDiskMsMax?: number;
}

/** What of a machine is the customer's own: without it, the same machine must start. */
function withoutFiles({ spec, files: { firmwareCode }, ...plan }: PlanInput): PlanInput {
  const vm = { kind: "disk" as const, image: null, iso: null, seed: [] };
  return {
    ...plan,
    spec: { ...spec, vm },
    files: firmwareCode === undefined ? {} : { firmwareCode },
    deterministic: false,
    sharedMemory: null,
  };
}

/**
 * QEMU itself says whether it takes a kernel, a RAM disk or an image. Where it starts twice not with the customer's files, and does
 * without them, it is they that are at fault; else the host is. Throws Refusal in the first case.
 */
async function launched(launch: LaunchInput, plan: PlanInput, hasCustomersFiles: boolean): Promise<Vm> {
  try {
    return await launchVm(launch);
  } catch (error) {
    if (!(error instanceof NotStarted) || error.said === "" || !hasCustomersFiles || plan.spec.vm.kind === "oci") throw error;
    const again = await launchVm(launch).catch((second: unknown) => second);
    if (again instanceof Vm) return again;
    const bare = withoutFiles(plan);
    const control = await launchVm({ ...launch, args: planVm(bare), files: launch.files.filter(({ name }) => name === "code") }).catch(
      () => null,
    );
    if (!control) throw error;
    await control.end();
    throw new Refusal("bytes", `QEMU does not start with these files: ${error.said.slice(0, 200)}`);
  }
}

/** What a machine begins with in place of a first boot; null where it has none. */
interface Earlier {
  template: Template | null;
  from: SnapshotSource | null;
}

/** A plan as it is carried out, and the files that QEMU gets for it. */
interface Start {
  plan: PlanInput;
  files: readonly BoundFile[];
}

async function startOf({ plan: laid, files, oci }: Laid, { template, from }: Earlier, folder: string, { stock }: QemuHost): Promise<Start> {
  const plan: PlanInput = { ...laid, restore: template ? { memory: "/proc/self/fd/9" } : from ? "stream" : null };
  // QEMU copies the whole kernel into every machine's memory, to start it again after a reset
  const headAlone = oci && stock && (template || from) ? stock.kernelHead : null;
  const taken = files.map((file) => (file.name === "kernel" && headAlone !== null ? { ...file, host: headAlone } : file));
  const disk = template?.disk ?? from?.disk ?? null;
  if (disk === null) return { plan, files: taken };
  // a snapshot may be dropped while machines live that began with it
  const own = path.join(folder, "base.qcow2");
  await link(disk, own).catch(() => copyFile(disk, own));
  return {
    plan: { ...plan, files: { ...plan.files, base: { path: "/img/disk", format: "qcow2" } } },
    files: [...taken.filter((file) => file.name !== "disk"), { host: own, name: "disk" }],
  };
}

interface Place extends Pick<Earlier, "template">, Pick<MachinesOptions, "fullDiskMsMax"> {
  folder: string;
  cgroup: Cgroup | null;
  host: QemuHost;
}

function launchOf(
  { name, spec, deterministic }: MachineJob,
  { plan, files }: Start,
  { folder, cgroup, host, template, fullDiskMsMax }: Place,
): LaunchInput {
  const { diskMib, outputMibMax } = spec;
  return {
    ...{ folder, name, args: planVm(plan), files, cgroup, outputMibMax },
    kvm: host.accel === "kvm" && !deterministic,
    tpm: spec.tpm,
    outlives: true,
    fileMibMax: Math.max(diskMib + 64 + Math.ceil(diskMib / 64), outputMibMax + 16, deterministic ? spec.memoryMib : 0),
    ...(template ? { descriptor: template.memoryFile } : {}),
    ...(fullDiskMsMax === undefined ? {} : { fullDiskMsMax }),
  };
}

async function tokenOf(
  { handle, uid }: Vm,
  { outputMibMax, diskMib }: VmSpec,
  { plan, files }: Start,
  of: Pick<MachineToken, "kind" | "ociToken">,
): Promise<MachineToken> {
  const { folder, id, cgroup } = handle;
  return {
    ...{ folder, pid: id.pid, startTicks: id.startTicks, outputMibMax, diskMib, uid },
    base: files.find((file) => file.name === "disk")?.host ?? "",
    baseFormat: plan.files.base?.format ?? "",
    cgroup: (cgroup?.folders ?? []).join(" "),
    cgroupKind: cgroup?.kind ?? "",
    ...{ kind: of.kind, ociToken: of.ociToken, boot: await bootOfHost() },
  };
}

/** QEMU's main loop and disk threads work beside the vCPUs. */
const CEILING_EXTRA_US = 25_000;
const TASKS_MAX = 128;

/** QEMU's own memory is in the lease's. */
const shareOf = ({ spec: { vcpu }, memoryMib }: Pick<MachineJob, "spec" | "memoryMib">): Share => ({
  ...{ vcpu, memoryMib, tasksMax: TASKS_MAX },
  ceilingUs: vcpu * PERIOD_US + CEILING_EXTRA_US,
});

/** One that comes from another server has a group of its own: that server may be on the same host, where the lease's machine still is. */
const groupNameOf = ({ name, from }: MachineJob): string =>
  from?.printed ? `${name.slice(0, 16)}-${randomBytes(3).toString("hex")}` : name.slice(0, 24);

export class Machines {
  readonly options: MachinesOptions;

  constructor(options: MachinesOptions) {
    this.options = options;
  }

  get #fullDisk(): Pick<MachinesOptions, "fullDiskMsMax"> {
    const { fullDiskMsMax } = this.options;
    return fullDiskMsMax === undefined ? {} : { fullDiskMsMax };
  }

  /** Lets go of machines that no lease uses, and of what an earlier daemon has not finished. */
  async open(inUse: readonly string[]): Promise<void> {
    const { folder, cache } = this.options;
    await removeUnfinished(cache.folder);
    await mkdir(folder, { recursive: true, mode: 0o700 });
    for (const name of await readdir(folder)) {
      const each = path.join(folder, name);
      if (!inUse.includes(each)) await removeVm(each);
    }
  }

  /**
   * Everything up to the guest's first instruction; of an image's guest, up to that of its job. Throws Refusal where it is not the host
   * that is at fault.
   */
  async prepare(ordered: MachineJob): Promise<Machine> {
    const { host } = this.options;
    const job = ordered.from
      ? { ...ordered, spec: { ...ordered.from.spec, outputMibMax: ordered.spec.outputMibMax, egress: ordered.spec.egress } }
      : ordered;
    refuseWhatCannotBe(job, host);
    try {
      return await this.#made(job, true);
    } catch (error) {
      if (!(error instanceof TemplateFailed)) throw error;
      return await this.#made(job, false);
    }
  }

  /** Throws TemplateFailed where it was to start from a booted guest, and did not for no reason of the customer's. */
  async #made(job: MachineJob, mayUseTemplate: boolean): Promise<Machine> {
    const { host, folder: all } = this.options;
    // a guest that is booted has bytes of its image in it
    const templates = job.forgets ? null : this.options.templates;
    const { name, from } = job;
    const folder = path.join(all, name.slice(0, 24));
    await rm(folder, { recursive: true, force: true });
    await makeVmFolder(folder);
    let cgroup: Cgroup | null = null;
    let vm: Vm | null = null;
    let template: Template | null = null;
    const { signal } = job;
    const callOff = (): void => void vm?.kill().catch(() => {}); // what waits for it sees it end
    signal?.addEventListener("abort", callOff);
    try {
      const laid = await layOut(this.options, job, folder);
      template = mayUseTemplate && laid.oci && !from && templates ? await templates.find(laid.templateKey) : null;
      cgroup = await host.limits.create(groupNameOf(job), shareOf(job));
      const start = await startOf(laid, { template, from }, folder, host);
      if (from?.printed) await putPrinted(folder, from.printed, uidOf(name));
      vm = await launched(
        launchOf(job, start, { folder, cgroup, host, template, ...this.#fullDisk }),
        start.plan,
        template === null && from === null,
      );
      signal?.throwIfAborted();
      if (template) await template.restore(vm);
      if (from) await loadState(vm, from.state);
      const ociToken = from?.ociToken || newToken();
      const port = laid.oci && !from ? await startOci(vm, job, ociToken, template !== null) : null;
      const kind = laid.oci ? "oci" : job.deterministic ? "deterministic" : "other";
      const machine = new Machine(vm, await tokenOf(vm, job.spec, start, { kind, ociToken }), {
        asked: processOf(job.spec.vm),
        goesOn: laid.oci && from !== null,
        port,
        begunAs: { template, templates: laid.oci ? templates : null, laid },
      });
      if (from?.printed) await machine.restored();
      return machine;
    } catch (error) {
      await vm?.quit();
      if (cgroup) await removeCgroup(cgroup);
      await rm(folder, { recursive: true, force: true });
      if (template === null || error instanceof Refusal || signal?.aborted) throw error;
      throw new TemplateFailed("the machine did not start from a booted guest", { cause: error });
    } finally {
      signal?.removeEventListener("abort", callOff);
    }
  }

  /** Makes the snapshot that this customer's guests of this image and shape start from, unless it is there. */
  async buildTemplate(customer: string, spec: VmSpec, blobFile: (digest: string) => string): Promise<void> {
    const { host, folder: all, templates } = this.options;
    const folder = path.join(all, `template-${process.hrtime.bigint()}`);
    await makeVmFolder(folder);
    try {
      const laid = await layOut(
        this.options,
        {
          name: "00000003",
          customer,
          spec,
          inputs: { entries: [], mounts: [] },
          memoryMib: spec.memoryMib,
          deterministic: false,
          from: null,
          blobFile,
        },
        folder,
      );
      await templates?.build(laid.templateKey, { ...laid, kvm: host.accel === "kvm" });
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  }

  /** Lets go of what was built for machines and was not used just now. */
  makeRoom(): Promise<void> {
    return prune(this.options.cache.folder, 0, SPARE_MS);
  }

  /** Where what a machine goes on from is put while it comes from another server. A daemon that starts removes it. */
  async arrivingFolder(lease: string): Promise<string> {
    const folder = path.join(this.options.folder, `arriving-${lease.slice(0, 24)}`);
    await rm(folder, { recursive: true, force: true });
    await mkdir(folder, { mode: 0o700 });
    return folder;
  }

  /** One that an earlier daemon made, and that is not to begin. */
  discard({ folder }: MachineToken): Promise<void> {
    return removeVm(folder);
  }

  /** A machine of an earlier daemon; one that is gone ends as crashed. `livedUntilMs`: as its machine is given it. */
  async adopt(token: MachineToken, job: MachineJob, livedUntilMs?: number): Promise<Machine> {
    const handle: VmHandle = {
      ...{ folder: token.folder, id: { pid: token.pid, startTicks: token.startTicks }, uid: token.uid, outputMibMax: token.outputMibMax },
      cgroup: cgroupOf(token),
      ...this.#fullDisk,
    };
    const vm = await followVm(handle).catch(() => null);
    if (!vm) await killVm(handle); // one that lives and does not answer is of no use to anybody
    const machine = new Machine(vm, token, {
      ...{ asked: processOf(job.spec.vm), goesOn: job.spec.vm.kind === "snapshot", port: null, begunAs: null },
      ...(livedUntilMs === undefined ? {} : { livedUntilMs }),
    });
    await machine.goOn();
    return machine;
  }
}
