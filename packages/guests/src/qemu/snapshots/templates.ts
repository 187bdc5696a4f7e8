/**
 * Booted guests kept to start others from: an OCI guest up to the moment it waits for its job, before anything of any customer is in it.
 * Its memory lies in a sealed memory file held by a process of its own (init/keeper.pl) and is mapped copy-on-write by every guest that
 * starts from it; its disk is read-only below each guest's own overlay. What a guest must not share with its siblings (random numbers,
 * clock, machine id, host keys) is renewed by its init before the job begins. Who controls the inputs: images are customers' bytes, of
 * which nothing ran yet; the rest is the host's own.
 */
import { spawn } from "node:child_process";
import { mkdir, readFile, readdir, rename, rm, stat, utimes, writeFile } from "node:fs/promises";
import path from "node:path";
import { run } from "../../programs/start.ts";
import { statGuestFile } from "../../guest-files.ts";
import type { Cgroup } from "../../cgroup.ts";
import { isRecord, parseOwn } from "../../json.ts";
import { customerFolder } from "../images/cache.ts";
import { isAlive, isProcessId, startTicksOf, type ProcessId } from "../../programs/process-id.ts";
import { writeOwn } from "../../write-own.ts";
import { OWN_BOX, uidOf, type BoundFile } from "../machine/box.ts";
import { flatten, type Base } from "../images/disks.ts";
import { JobPort } from "../oci/job-port.ts";
import { inOwnGroup } from "../machine/own-box.ts";
import { VM_FILES, VM_OVERHEAD_MIB, planVm, type PlanInput } from "../machine/plan.ts";
import { ignoreSharedMemory, loadState, saveState } from "../machine/state.ts";
import { templatesToDrop, type KeptTemplate } from "./template-room.ts";
import { boxFolder, boxPath, giveToBox, launchVm, makeVmFolder, removeVm, type Vm } from "../machine/vm.ts";

const READY_MS = 60_000;
/** Of a kept one's folder: who holds its memory. */
const RECORD = "kept.json";
/** Before the name of one that is being made. */
const BUILDING = "building-";
/** What the guest still does by itself once it is ready, its agent's start above all, every guest from the snapshot is spared. */
const SETTLE_MS = 1_500;

export interface Template {
  /** Opened by whoever starts a guest from it. */
  memoryFile: string;
  /** A flat qcow2. */
  disk: string;
  /** Brings a machine that was started from its memory to where the snapshot was taken; it stays stopped. */
  restore(vm: Vm): Promise<void>;
}

interface Kept {
  keeper: ProcessId;
  descriptor: number;
  /** By whose share it counts, as customerFolder names them; empty: the owner's own. Earlier daemons wrote none. */
  maker?: string;
}

const isKept = (value: unknown): value is Kept =>
  isRecord(value) &&
  isProcessId(value["keeper"]) &&
  typeof value["descriptor"] === "number" &&
  (value["maker"] === undefined || typeof value["maker"] === "string");

interface TemplateSource {
  /** For whom it is made; it is found for everybody. Empty: for the owner. */
  customer: string;
  plan: PlanInput;
  files: readonly BoundFile[];
  kvm: boolean;
}

/** A user id's worth of hex for boxes that belong to no lease. */
const BUILDER = "00000003";

/** Ends by itself unless it is told to stay, once it is written down where it is found: `stay` tells it. */
export async function keep(memory: string): Promise<{ by: Pick<Kept, "keeper" | "descriptor">; stay(): void; end(): void }> {
  const child = spawn("perl", [path.join(import.meta.dirname, "../init/keeper.pl"), memory], {
    detached: true,
    stdio: ["pipe", "pipe", "pipe"],
    cwd: "/",
  });
  let said = "";
  const descriptor = await new Promise<number>((resolve, reject) => {
    child.once("error", reject); // the host may have no process left, nor a pipe
    child.stdin.on("error", () => {}); // it has ended, and said why
    child.stderr.on("data", (bytes: Buffer) => (said += bytes.toString()));
    child.stdout.once("data", (bytes: Buffer) => resolve(Number(bytes.toString().trim())));
    child.once("exit", () => reject(new Error(`the snapshot's memory cannot be kept: ${said.trim()}`)));
  });
  child.unref();
  if (child.pid === undefined) throw new Error("the snapshot's keeper did not start");
  const keeper = { pid: child.pid, startTicks: (await startTicksOf(child.pid)) ?? "gone" };
  return { by: { keeper, descriptor }, stay: () => void child.stdin.end("kept\n"), end: () => void child.stdin.end() };
}

/** What lies under the guest's disk. */
function baseOf(plan: PlanInput, files: readonly BoundFile[]): Base {
  const disk = files.find(({ name }) => name === "disk");
  if (!disk || !plan.files.base) throw new Error("a guest to start others from has no disk");
  return { file: disk.host, format: plan.files.base.format };
}

/** Leaves memory, state and disk of a guest that waits for its job. */
async function bootUntilReady(folder: string, { plan, files, kvm }: TemplateSource, cgroup: Cgroup | null): Promise<void> {
  const overlay = boxPath(folder, VM_FILES.disk);
  await run("qemu-img", ["create", "-q", "-f", "qcow2", overlay, `${plan.spec.diskMib}M`]);
  await giveToBox(overlay, uidOf(BUILDER));
  const args = planVm({ ...plan, sharedMemory: `/w/${VM_FILES.memory}`, restore: null });
  const sizes = { fileMibMax: Math.max(plan.spec.memoryMib, plan.spec.diskMib) + 64, outputMibMax: 64 };
  const vm = await launchVm({ ...OWN_BOX, folder, name: BUILDER, args, files, kvm, cgroup, ...sizes });
  try {
    await vm.begin();
    const port = await JobPort.open(boxPath(folder, VM_FILES.job));
    const ready = await Promise.race([port.ready(), new Promise<null>((resolve) => setTimeout(() => resolve(null), READY_MS))]);
    if (ready === null) throw new Error("the guest did not get ready");
    await new Promise((resolve) => setTimeout(resolve, SETTLE_MS));
    await vm.pause();
    port.close();
    await writeFile(path.join(folder, VM_FILES.state), await saveState(vm), { mode: 0o600 });
  } finally {
    await vm.quit();
  }
}

export class Templates {
  readonly #folder: string;
  readonly #most: number;
  readonly #building = new Map<string, Promise<void>>();
  #log: (what: string, facts: Record<string, unknown>) => void;

  /** At most so many are kept, and of one customer its share of them; the least used goes first. */
  constructor(folder: string, most: number, log: (what: string, facts: Record<string, unknown>) => void = () => {}) {
    this.#folder = folder;
    this.#most = most;
    this.#log = log;
  }

  /** Lets go of what earlier daemons left behind half done, or whose keeper is gone. */
  async open(): Promise<void> {
    await mkdir(this.#folder, { recursive: true, mode: 0o700 });
    for (const name of await readdir(this.#folder))
      if (name.startsWith(BUILDING) || (await this.#kept(name)) === null) await this.#remove(name);
  }

  async #kept(key: string): Promise<Kept | null> {
    const file = path.join(this.#folder, key, RECORD);
    const text = await readFile(file, "utf8").catch(() => null);
    if (text === null || text === "") return null; // a host that lost power may leave an empty one
    const kept = parseOwn(file, text, isKept);
    return (await isAlive(kept.keeper)) ? kept : null;
  }

  async find(key: string): Promise<Template | null> {
    const kept = await this.#kept(key);
    if (!kept) return null;
    const folder = path.join(this.#folder, key);
    const now = new Date();
    await utimes(path.join(folder, RECORD), now, now);
    return {
      memoryFile: `/proc/${kept.keeper.pid}/fd/${kept.descriptor}`,
      disk: path.join(folder, "disk.qcow2"),
      async restore(vm) {
        await ignoreSharedMemory(vm);
        await loadState(vm, path.join(folder, VM_FILES.state));
      },
    };
  }

  /** Makes the snapshot unless it is there or being made. Never throws: without one, guests boot. */
  build(key: string, source: TemplateSource): Promise<void> {
    const building =
      this.#building.get(key) ??
      this.#build(key, source)
        .catch((error: Error) => this.#log("a snapshot could not be made", { why: error.message }))
        .finally(() => this.#building.delete(key));
    this.#building.set(key, building);
    return building;
  }

  async #build(key: string, source: TemplateSource): Promise<void> {
    if ((await this.#kept(key)) !== null) return;
    const folder = path.join(this.#folder, `${BUILDING}${key.slice(0, 16)}`);
    await rm(folder, { recursive: true, force: true });
    await makeVmFolder(folder);
    const { customer, plan, files } = source;
    try {
      const memoryMib = plan.spec.memoryMib + VM_OVERHEAD_MIB[plan.accel];
      await inOwnGroup(folder, memoryMib, (cgroup) => bootUntilReady(folder, source, cgroup));
      await flatten({
        ...{ box: boxFolder(folder), uid: uidOf(BUILDER) },
        base: baseOf(plan, files),
        to: path.join(folder, "disk.qcow2"),
      });
      if (statGuestFile(boxFolder(folder), VM_FILES.memory) === null) throw new Error("the guest's memory is not where it was");
      const maker = customer === "" ? "" : customerFolder(customer);
      const kept = await keep(boxPath(folder, VM_FILES.memory));
      try {
        await rm(boxFolder(folder), { recursive: true, force: true });
        await writeOwn(path.join(folder, RECORD), JSON.stringify({ ...kept.by, maker } satisfies Kept));
        kept.stay();
      } finally {
        kept.end();
      }
      await rm(path.join(this.#folder, key), { recursive: true, force: true });
      await rename(folder, path.join(this.#folder, key));
      await this.#prune();
    } catch (error) {
      await this.#remove(path.basename(folder));
      throw error;
    }
  }

  async #prune(): Promise<void> {
    const kept: KeptTemplate[] = [];
    for (const name of await readdir(this.#folder)) {
      const about = name.startsWith(BUILDING) ? null : await this.#kept(name);
      if (about === null) continue;
      kept.push({ name, maker: about.maker ?? "", at: (await stat(path.join(this.#folder, name, RECORD))).mtimeMs });
    }
    for (const name of templatesToDrop(kept, this.#most)) await this.#remove(name);
  }

  /** Guests that started from it keep what they have mapped and opened. */
  async #remove(key: string): Promise<void> {
    const kept = await this.#kept(key);
    if (kept) process.kill(kept.keeper.pid, "SIGKILL");
    await removeVm(path.join(this.#folder, key));
  }

  /** Gives up every snapshot. */
  async clear(): Promise<void> {
    await Promise.all(this.#building.values());
    for (const key of await readdir(this.#folder).catch(() => [])) await this.#remove(key);
  }
}
