/**
 * The share of the machine that a guest's processes are held to by the kernel: control groups version 2 where this process's own group is
 * delegated, else version 1, else only what a process can be held to. A guarantee by weight, a ceiling where one is asked for, a hard
 * limit on memory and on processes. Who controls the inputs: the owner's machine; sizes, customers within their leases.
 */
import { access, mkdir, readFile, rmdir, writeFile } from "node:fs/promises";
import path from "node:path";
import { isRecord } from "./json.ts";
import { starterPid } from "./programs/start.ts";
import { codeOf, messageOf } from "./thrown.ts";

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

export interface Share {
  /** Its weight beside others. */
  vcpu: number;
  /** Of the processor's time, in all of its threads; null: as much as is idle. */
  ceilingUs: number | null;
  memoryMib: number;
  /** Processes and threads. */
  tasksMax: number;
}

const MIB = 1024 * 1024;
/** What a ceiling is a part of. */
export const PERIOD_US = 100_000;
const MOUNT = "/sys/fs/cgroup";
type Controller1 = "cpu" | "memory" | "pids";

const put = (folder: string, name: string, value: string | number): Promise<void> => writeFile(path.join(folder, name), String(value));
const read = (folder: string, name: string): Promise<string> => readFile(path.join(folder, name), "utf8").catch(() => "");

/** Words of sh(1): its own process joins the groups whose folders $1 names, apart by blanks. */
export const JOIN_GROUPS = `for group in $1; do echo $$ > "$group/cgroup.procs" || exit 1; done`;

/** This process's own group of each hierarchy. */
async function ownGroups(): Promise<Map<string, string>> {
  const groups = new Map<string, string>();
  for (const line of (await read("/proc/self", "cgroup")).trim().split("\n")) {
    const [id, controllers = "", at] = line.split(":");
    if (at === undefined) continue;
    if (id === "0") groups.set("", at);
    else for (const controller of controllers.split(",")) groups.set(controller, at);
  }
  return groups;
}

const CONTROLLERS = ["cpu", "memory", "pids"];
const controlled = (base: string): Promise<void> => put(base, "cgroup.subtree_control", CONTROLLERS.map((name) => `+${name}`).join(" "));

async function checkDelegated(base: string): Promise<void> {
  const offered = (await readFile(path.join(base, "cgroup.controllers"), "utf8")).split(/\s+/);
  if (!CONTROLLERS.every((name) => offered.includes(name))) throw new Error("cpu, memory and pids are not delegated");
}

const UNIT = ".service";
/** Of a daemon that is the unit NAME.service, the unit for its guests is NAME-guests.service beside it (`xeno serve --install`). */
const GUESTS_UNIT = "-guests.service";

/**
 * The group of that unit; null where there is none. No group that is delegated to the daemon itself holds guests that outlive it: while
 * they live, systemd could start no daemon in a group that has groups with limits below it.
 */
async function guestsUnit(own: string): Promise<string | null> {
  if (!own.endsWith(UNIT)) return null;
  const base = path.join(MOUNT, own.slice(0, -UNIT.length) + GUESTS_UNIT);
  const isThere = await access(base).then(
    () => true,
    () => false,
  );
  if (!isThere) return null;
  await checkDelegated(base);
  await controlled(base);
  return base;
}

const OWN_LEAF = "xeno-daemon";

/** A delegated group holds no process itself (the kernel's "no internal processes" rule): this one and its starter move into a leaf. */
async function version2(group: string): Promise<string> {
  const base = path.join(MOUNT, path.basename(group) === OWN_LEAF ? path.dirname(group) : group);
  await checkDelegated(base);
  const leaf = path.join(base, OWN_LEAF);
  await mkdir(leaf, { recursive: true });
  const own = [process.pid, ...[await starterPid()].filter((pid) => pid !== null)];
  for (const pid of own) await put(leaf, "cgroup.procs", pid);
  try {
    await controlled(base);
  } catch (error) {
    // others live in this group, which is not this process's alone
    for (const pid of own) await put(base, "cgroup.procs", pid);
    await rmdir(leaf);
    throw error;
  }
  return base;
}

export interface Limits {
  kind: LimitsKind;
  /** Why not better, in words; empty for version 2. */
  why: string;
  /** The group of that name, whether it is there or not; null where groups hold nothing. */
  group(name: string): Cgroup | null;
  create(name: string, share: Share): Promise<Cgroup | null>;
}

/** What holds a group to a share: files of its folders, in the order in which they are written. */
interface Setting {
  folder: string;
  name: string;
  value: string | number;
  /** Some kernels have no such file. */
  optional?: true;
}

const settings2 = (folder: string, { vcpu, ceilingUs, memoryMib, tasksMax }: Share): Setting[] => [
  { folder, name: "cpu.weight", value: Math.min(10_000, 100 * vcpu) },
  { folder, name: "cpu.max", value: `${ceilingUs ?? "max"} ${PERIOD_US}` },
  { folder, name: "memory.max", value: memoryMib * MIB },
  { folder, name: "memory.swap.max", value: 0, optional: true }, // one without swap accounting
  { folder, name: "pids.max", value: tasksMax },
];

type Folders1 = [cpu: string, memory: string, pids: string];
const settings1 = ([cpu, memory, pids]: Folders1, { vcpu, ceilingUs, memoryMib, tasksMax }: Share): Setting[] => [
  { folder: cpu, name: "cpu.shares", value: 1_024 * vcpu },
  { folder: cpu, name: "cpu.cfs_period_us", value: PERIOD_US },
  { folder: cpu, name: "cpu.cfs_quota_us", value: ceilingUs ?? -1 },
  { folder: memory, name: "memory.limit_in_bytes", value: memoryMib * MIB },
  { folder: pids, name: "pids.max", value: tasksMax },
];

const settingsOf = (cgroup: Cgroup, share: Share): Setting[] =>
  cgroup.kind === "cgroup2" ? settings2(cgroup.folders[0], share) : settings1(cgroup.folders, share);

/** Holds a group to another share from now on. `was`: what it is held to; null where it was just made. */
export async function setShare(cgroup: Cgroup, share: Share, was: Share | null): Promise<void> {
  const before = was && settingsOf(cgroup, was);
  for (const [i, { folder, name, value, optional }] of settingsOf(cgroup, share).entries()) {
    if (before?.[i]?.value === value) continue;
    const written = put(folder, name, value);
    await (optional ? written.catch(() => {}) : written);
  }
}

function group2(base: string, name: string): Cgroup {
  return { kind: "cgroup2", folders: [path.join(base, `xeno-${name}`)] };
}

function group1(groups: ReadonlyMap<string, string>, name: string): Cgroup {
  const at = (controller: Controller1): string => path.join(MOUNT, controller, groups.get(controller) ?? "/", `xeno-${name}`);
  return { kind: "cgroup1", folders: [at("cpu"), at("memory"), at("pids")] };
}

async function made(cgroup: Cgroup, share: Share): Promise<Cgroup> {
  for (const folder of cgroup.folders) await mkdir(folder, { recursive: true });
  await setShare(cgroup, share, null);
  return cgroup;
}

const TRIAL: Share = { vcpu: 1, ceilingUs: PERIOD_US, memoryMib: 64, tasksMax: 8 };

/** What the kernel's refusals mean for an owner. */
const WHY_NOT: Readonly<Record<string, string>> = {
  ENOENT: "not mounted here",
  EACCES: "this user may make none",
  EPERM: "this user may make none",
  EROFS: "mounted read-only, as in containers",
  EBUSY: "other programs live in this one's group",
  EOPNOTSUPP: "this one's group has threads of others",
};

/** Finds the strongest limits that really work here, by making and removing a group. */
async function findLimits(): Promise<Limits> {
  const groups = await ownGroups();
  const reasons: string[] = [];
  const attempts: [LimitsKind, () => Promise<(name: string) => Cgroup>][] = [
    [
      "cgroup2",
      async () => {
        const own = groups.get("") ?? "/";
        const base = (await guestsUnit(own)) ?? (await version2(own));
        return (name) => group2(base, name);
      },
    ],
    ["cgroup1", async () => (name) => group1(groups, name)],
  ];
  for (const [kind, open] of attempts) {
    try {
      const group = await open();
      await removeCgroup(await made(group(`trial-${process.hrtime.bigint()}`), TRIAL));
      return { kind, why: reasons.join("; "), group, create: (name, share) => made(group(name), share) };
    } catch (error) {
      reasons.push(`${kind}: ${WHY_NOT[codeOf(error) ?? ""] ?? messageOf(error).split("\n")[0]}`);
    }
  }
  return { kind: "process", why: reasons.join("; "), group: () => null, create: async () => null };
}

let found: Promise<Limits> | null = null;

/** Looked for once: looking may move this process. */
export const hostLimits = (): Promise<Limits> => (found ??= findLimits());

/** Whether the kernel killed a process of it for memory. */
export async function wasOutOfMemory({ kind, folders }: Cgroup): Promise<boolean> {
  const text = kind === "cgroup2" ? await read(folders[0], "memory.events") : await read(folders[1], "memory.oom_control");
  return Number(/^oom_kill (\d+)$/m.exec(text)?.[1] ?? 0) > 0;
}

const MICROSECONDS = 1_000_000;

/** Of the processor, by all that is or was in it, in seconds; null where it is not there, or of version 1. */
export async function cpuSecondsOf({ kind, folders }: Cgroup): Promise<number | null> {
  const used = kind === "cgroup2" ? /^usage_usec (\d{1,18})$/m.exec(await read(folders[0], "cpu.stat"))?.[1] : undefined;
  return used === undefined ? null : Number(used) / MICROSECONDS;
}

const REMOVE_TRIES = 250;
/** What was ended is gone within a few ms, mostly: asked sooner at first. */
const REMOVE_EVERY_MS = 20;

async function killAll(folder: string): Promise<void> {
  for (const pid of (await read(folder, "cgroup.procs")).split("\n").filter(Boolean)) {
    try {
      process.kill(Number(pid), "SIGKILL");
    } catch (error) {
      if (codeOf(error) !== "ESRCH") throw error;
    }
  }
}

/** What still runs in it is ended. Idempotent. */
export async function removeCgroup({ folders }: Cgroup): Promise<void> {
  for (const folder of folders) {
    for (let attempt = 0; attempt < REMOVE_TRIES; attempt++) {
      const left = await rmdir(folder).then(
        () => null,
        (error: NodeJS.ErrnoException) => error.code,
      );
      if (left === null || left === "ENOENT") break;
      await killAll(folder);
      await new Promise((resolve) => setTimeout(resolve, Math.min(2 ** attempt, REMOVE_EVERY_MS)));
    }
  }
}
