/**
 * The share of the machine that a lease's virtual machine is held to: control groups version 2 where this process's own group is
 * delegated, else version 1, else only what a process can be held to. A guarantee by weight, a ceiling of the reserved vCPUs and a part
 * of one more for QEMU's own threads, a hard limit on memory (QEMU's own included), and on processes.
 */
import { mkdir, readFile, rmdir, writeFile } from "node:fs/promises";
import path from "node:path";
import { isRecord } from "../../json.ts";
import { messageOf } from "../../thrown.ts";

type LimitsKind = "cgroup2" | "cgroup1" | "process";

/** One folder in version 2, one for each controller in version 1. */
export type Cgroup = { kind: "cgroup2"; folders: [string] } | { kind: "cgroup1"; folders: [cpu: string, memory: string, pids: string] };

/** Whether it is one, as it was written down. */
export function isCgroup(value: unknown): value is Cgroup {
  if (!isRecord(value)) return false;
  const { kind, folders } = value;
  const count = kind === "cgroup2" ? 1 : kind === "cgroup1" ? 3 : null;
  return Array.isArray(folders) && folders.length === count && folders.every((folder) => typeof folder === "string");
}

interface Share {
  vcpu: number;
  memoryMib: number;
}

const MIB = 1024 * 1024;
const PERIOD_US = 100_000;
/** QEMU's main loop and disk threads work beside the vCPUs. */
const QUOTA_EXTRA_US = 25_000;
const PROCESSES_MAX = 128;
const MOUNT = "/sys/fs/cgroup";
type Controller1 = "cpu" | "memory" | "pids";

const put = (folder: string, name: string, value: string | number): Promise<void> => writeFile(path.join(folder, name), String(value));

/** This process's own group of each hierarchy. */
async function ownGroups(): Promise<Map<string, string>> {
  const text = await readFile("/proc/self/cgroup", "utf8").catch(() => "");
  const groups = new Map<string, string>();
  for (const line of text.trim().split("\n")) {
    const [id, controllers = "", at] = line.split(":");
    if (at === undefined) continue;
    if (id === "0") groups.set("", at);
    else for (const controller of controllers.split(",")) groups.set(controller, at);
  }
  return groups;
}

/** A delegated group holds no process itself (the kernel's "no internal processes" rule): this one moves into a leaf. */
async function version2(own: string): Promise<string> {
  const base = path.join(MOUNT, own);
  const offered = (await readFile(path.join(base, "cgroup.controllers"), "utf8")).split(/\s+/);
  if (!["cpu", "memory", "pids"].every((name) => offered.includes(name))) throw new Error("cpu, memory and pids are not delegated");
  const leaf = path.join(base, "xeno-daemon");
  await mkdir(leaf, { recursive: true });
  await put(leaf, "cgroup.procs", process.pid);
  await put(base, "cgroup.subtree_control", "+cpu +memory +pids");
  return base;
}

export interface Limits {
  kind: LimitsKind;
  /** Why not better, in words; empty for version 2. */
  why: string;
  create(name: string, share: Share): Promise<Cgroup | null>;
}

async function create2(base: string, name: string, { vcpu, memoryMib }: Share): Promise<Cgroup> {
  const folder = path.join(base, `xeno-${name}`);
  await mkdir(folder, { recursive: true });
  await put(folder, "cpu.weight", Math.min(10_000, 100 * vcpu));
  await put(folder, "cpu.max", `${vcpu * PERIOD_US + QUOTA_EXTRA_US} ${PERIOD_US}`);
  await put(folder, "memory.max", memoryMib * MIB);
  await put(folder, "memory.swap.max", 0).catch(() => {}); // a kernel without swap accounting has no such file
  await put(folder, "pids.max", PROCESSES_MAX);
  return { kind: "cgroup2", folders: [folder] };
}

async function create1(baseOf: (controller: Controller1) => string, name: string, { vcpu, memoryMib }: Share): Promise<Cgroup> {
  const at = (controller: Controller1): string => path.join(baseOf(controller), `xeno-${name}`);
  const [cpu, memory, pids] = [at("cpu"), at("memory"), at("pids")];
  for (const folder of [cpu, memory, pids]) await mkdir(folder, { recursive: true });
  await put(cpu, "cpu.shares", 1_024 * vcpu);
  await put(cpu, "cpu.cfs_period_us", PERIOD_US);
  await put(cpu, "cpu.cfs_quota_us", vcpu * PERIOD_US + QUOTA_EXTRA_US);
  await put(memory, "memory.limit_in_bytes", memoryMib * MIB);
  await put(pids, "pids.max", PROCESSES_MAX);
  return { kind: "cgroup1", folders: [cpu, memory, pids] };
}

/** Finds the strongest limits that really work here, by making and removing a group. */
export async function findLimits(): Promise<Limits> {
  const groups = await ownGroups();
  const reasons: string[] = [];
  const trial = `trial-${process.pid}`;
  const share = { vcpu: 1, memoryMib: 64 };
  const attempts: [LimitsKind, () => Promise<(name: string, share: Share) => Promise<Cgroup>>][] = [
    [
      "cgroup2",
      async () => {
        const base = await version2(groups.get("") ?? "/");
        return (name, wanted) => create2(base, name, wanted);
      },
    ],
    [
      "cgroup1",
      async () => {
        const baseOf = (controller: Controller1): string => path.join(MOUNT, controller, groups.get(controller) ?? "/");
        return (name, wanted) => create1(baseOf, name, wanted);
      },
    ],
  ];
  for (const [kind, open] of attempts) {
    try {
      const create = await open();
      await removeCgroup(await create(trial, share));
      return { kind, why: reasons.join("; "), create };
    } catch (error) {
      reasons.push(`${kind}: ${messageOf(error).split("\n")[0]}`);
    }
  }
  return { kind: "process", why: reasons.join("; "), create: async () => null };
}

/** Whether the kernel killed a process of it for memory. */
export async function wasOutOfMemory({ kind, folders }: Cgroup): Promise<boolean> {
  const text = kind === "cgroup2" ? await read(folders[0], "memory.events") : await read(folders[1], "memory.oom_control");
  return Number(/^oom_kill (\d+)$/m.exec(text)?.[1] ?? 0) > 0;
}

const read = (folder: string, name: string): Promise<string> => readFile(path.join(folder, name), "utf8").catch(() => "");

const REMOVE_TRIES = 50;

/** Its processes are gone or going. */
export async function removeCgroup({ folders }: Cgroup): Promise<void> {
  for (const folder of folders) {
    for (let attempt = 0; attempt < REMOVE_TRIES; attempt++) {
      const left = await rmdir(folder).then(
        () => null,
        (error: NodeJS.ErrnoException) => error.code,
      );
      if (left === null || left === "ENOENT") break;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }
}
