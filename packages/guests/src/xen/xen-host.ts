/**
 * What this machine can do with Xen: tried, not believed. Every part says in words what is missing and what to start or install. Who
 * controls the inputs: the owner's machine.
 */
import { mkdir, mkdtemp, readFile, readdir, rm, stat, writeFile } from "node:fs/promises";
import path from "node:path";
import { hostLimits } from "../cgroup.ts";
import { openStock, stockProblem, type Stock } from "../qemu/images/stock.ts";
import { domainUuid, hasMark } from "./domain-names.ts";
import { messageOf } from "../thrown.ts";
import { overlaysMissing } from "./disk-overlay.ts";
import { backEndGroup } from "./domain-back-end.ts";
import { isThere } from "./domain-disk.ts";
import { networkMissing } from "./domain-network.ts";
import { DEVICE_MODEL_MIB } from "@xenoservers/protocol";
import { DeviceModel, layOutDeviceModel, leaveDeviceModel } from "./device-model.ts";
import { domainConfig, type DomainKind } from "./domain-config.ts";
import { emulationMissing } from "./emulation-host.ts";
import { lvmProblem } from "./host-lvm.ts";
import type { ListedDomain } from "./listing.ts";
import { TRIAL_MEMORY_MIB, trialKernel } from "./trial-kernel.ts";
import { ReadyShells } from "../programs/ready-shells.ts";
import { TOOLSTACK_ENV, Xl, runBy } from "./xl.ts";
import type { XenInfo } from "./xen-info.ts";

export interface XenHost {
  xl: Xl;
  /** What begins the toolstack's programs that somebody waits for. */
  ready: Pick<ReadyShells, "close">;
  kind: DomainKind;
  info: XenInfo;
  /** What boots a disk image by its own kernel; null where something is missing, which `loaderWhy` says. */
  loader: string | null;
  loaderWhy: string;
  /** What boots OCI images; null where something is missing, which `stockWhy` says. */
  stock: Stock | null;
  stockWhy: string;
  /** What network cards need and is missing; null where there can be some. */
  networkWhy: string | null;
  /** What domains with emulated hardware need and is missing; null where there can be some. */
  emulationWhy: string | null;
  /** What bounds of disks' speed need and is missing; null where there are some. */
  ratesWhy: string | null;
  /** What the host's own LVM may do with customers' disks; null where it leaves them alone. */
  lvmWhy: string | null;
  /** For domains of leases, those that run already included. */
  roomMib: number;
  /** As offers and results name it. */
  engine: string;
}

export type XenHostState = { ok: true; host: XenHost } | { ok: false; why: string };

/** To make a domain, and to have it run; then there are others. */
const READY_SHELLS = 2;
const TRIAL_MS = 120_000;
const POLL_MS = 200;
/** As little as a BIOS starts in. */
const EMULATED_MEMORY_MIB = 64;
const SCREEN_TRIAL_MIB = 64;
const TRIAL = "xeno-trial-";
const OLD_MS = 3_600_000;

/** Whether this system is the one that may make domains. */
export async function isDom0(): Promise<boolean> {
  return (await readFile("/proc/xen/capabilities", "utf8").catch(() => "")).includes("control_d");
}

/** Whether a program of that name runs here: daemons of dom0 have one name everywhere. */
async function runs(name: RegExp): Promise<boolean> {
  for (const each of await readdir("/proc"))
    if (/^\d+$/.test(each) && name.test((await readFile(`/proc/${each}/comm`, "utf8").catch(() => "")).trim())) return true;
  return false;
}

const DAEMONS = [
  {
    name: /^(oxenstored|xenstored)$/,
    why:
      "xenstored does not run: where it did since the host was started, start the host again, for a new one would know no domain that is " +
      "there; else start it (systemctl start xenstored; apt install xen-utils)",
  },
  {
    name: /^xenconsoled$/,
    why:
      "xenconsoled does not run, and without it no domain has a console: start it (systemctl start xenconsoled), and those that run are " +
      "heard again",
  },
] as const;

/** Asked before anything else: without xenstored xl does not answer. */
async function daemonMissing(): Promise<string | null> {
  for (const { name, why } of DAEMONS) if (!(await runs(name))) return why;
  return null;
}

function abilityMissing({ abilities }: XenInfo, kind: DomainKind): string | null {
  const needs = kind === "pvh" ? ["hvm", "hap"] : ["pv"];
  const lacks = needs.find((ability) => !abilities.includes(ability));
  return lacks === undefined ? null : `this hypervisor gives no ${lacks}, which ${kind} domains need: set xen.guests to another kind`;
}

interface Trial {
  xl: Xl;
  folder: string;
  name: string;
  uuid: string;
  /** As it is listed; undefined where it is not. */
  here(): Promise<ListedDomain | undefined>;
}

/** Of daemons that were killed as they tried, long ago: another may try just now. */
async function sweepTrials(within: string): Promise<void> {
  for (const each of await readdir(within)) {
    const folder = path.join(within, each);
    if (!each.startsWith(TRIAL) || (await stat(folder)).mtimeMs > Date.now() - OLD_MS) continue;
    await leaveDeviceModel(folder, each);
    await rm(folder, { recursive: true, force: true });
  }
}

/** Calls with what a domain needs that is made to be tried; nothing of it is left. `within`: where its files lie. */
async function tried(xl: Xl, { mark, within }: { mark: string; within: string }, call: (trial: Trial) => Promise<void>): Promise<void> {
  await sweepTrials(within);
  const folder = await mkdtemp(path.join(within, TRIAL));
  const name = `${TRIAL}${process.pid}`;
  const here = async () => (await xl.list()).find((domain) => domain.name === name);
  try {
    await call({ xl, folder, name, uuid: domainUuid(mark, name), here });
  } finally {
    const left = await here().catch(() => undefined);
    if (left) await xl.destroy(left.id).catch(() => {});
    await leaveDeviceModel(folder, name);
    await rm(folder, { recursive: true, force: true });
  }
}

/** Its number, once it is made. */
async function madeOf({ xl, folder, here }: Trial, config: string): Promise<number> {
  await writeFile(path.join(folder, "domain.cfg"), config);
  await xl.create(path.join(folder, "domain.cfg"), { kernelMib: 1 });
  const id = (await here())?.id;
  if (id === undefined) throw new Error("the domain that was made is not listed");
  return id;
}

/** A real domain, from its making to its end: what it runs ends it at once. */
async function runsTrial(trial: Trial, kind: DomainKind): Promise<void> {
  const { xl, folder, name, uuid, here } = trial;
  const until = async (is: () => Promise<boolean>, why: string): Promise<void> => {
    for (const deadline = Date.now() + TRIAL_MS; !(await is()); await new Promise((resolve) => setTimeout(resolve, POLL_MS)))
      if (Date.now() > deadline) throw new Error(why);
  };
  const kernel = path.join(folder, "kernel");
  await writeFile(kernel, trialKernel());
  const plan = { kind, name, uuid, kernel, ramdisk: null, commandLine: "", memoryMib: TRIAL_MEMORY_MIB, vcpu: 1 };
  const id = await madeOf(trial, domainConfig(plan, []));
  await until(async () => (await xl.console(id)) !== null, "xenconsoled opens no console for it");
  await xl.unpause(id);
  await until(async () => (await here())?.shutdown !== null, "it does not run");
}

/** One with emulated hardware, as far as that somebody could look at its screen. */
async function showsTrial(trial: Trial): Promise<void> {
  const { xl, folder, name, uuid } = trial;
  await layOutDeviceModel(folder, name, DEVICE_MODEL_MIB + SCREEN_TRIAL_MIB);
  const emulation = { folder, hasScreen: true, hasMedium: false };
  const plan = { kind: "hvm", name, uuid, kernel: null, ramdisk: null, commandLine: "", memoryMib: EMULATED_MEMORY_MIB, vcpu: 1 } as const;
  const id = await madeOf(trial, domainConfig({ ...plan, emulation }, []));
  const deviceModel = new DeviceModel(folder, name);
  await deviceModel.check(await xl.deviceModel(id));
  const screen = await deviceModel.screen();
  screen.destroy();
}

/** What domains with emulated hardware lack here, in words for the owner; null where one was made. */
async function emulationProblem(xl: Xl, info: XenInfo, of: { mark: string; within: string }): Promise<string | null> {
  const missing = await emulationMissing(info);
  if (missing !== null) return `no screens, media or BIOS (HVM): they need ${missing}`;
  try {
    await tried(xl, of, showsTrial);
    return null;
  } catch (error) {
    return `no screens, media or BIOS (HVM): one was tried: ${messageOf(error)}`;
  }
}

/** What bounds of disks' speed lack here, in words for the owner; null where there are some. */
const ratesProblem = async (): Promise<string | null> =>
  (await backEndGroup("trial")) === null
    ? "domains' disks are as fast as the host's: bounds need control groups of version 2 with the controller io (xeno serve --install)"
    : null;

/** GRUB for each kind of domain, of Debian's grub-xen-host: it runs in the domain, and reads the guest's own disk there. */
const LOADERS: Readonly<Record<DomainKind, string>> = {
  pvh: "/usr/lib/grub-xen/grub-i386-xen_pvh.bin",
  pv: "/usr/lib/grub-xen/grub-x86_64-xen.bin",
};

async function loaderOf(kind: DomainKind): Promise<Pick<XenHost, "loader" | "loaderWhy">> {
  const hasGrub = await isThere(LOADERS[kind]);
  const missing = [hasGrub ? null : "GRUB (apt install grub-xen-host)", await overlaysMissing()].filter((each) => each !== null);
  return missing.length === 0
    ? { loader: LOADERS[kind], loaderWhy: "" }
    : { loader: null, loaderWhy: `no disk images: they need ${missing.join(" and ")}` };
}

/**
 * `mark`: of the server whose host this is. A trial that is killed half-way is known by it, and only memory of its own domains, beside what
 * is free, is its to sell. `cache`: for the RAM disk of images.
 */
export async function openXenHost(
  kind: DomainKind,
  { mark, cache }: { mark: string; cache: string },
  ready = new ReadyShells(READY_SHELLS, TOOLSTACK_ENV),
  xl: Xl = new Xl(runBy(ready)),
): Promise<XenHostState> {
  if (!(await isDom0())) return { ok: false, why: "this system is not dom0 of a Xen host" };
  const daemon = await daemonMissing();
  if (daemon !== null) return { ok: false, why: daemon };
  const info = await xl.info().catch((error: unknown) => messageOf(error));
  if (typeof info === "string") return { ok: false, why: `${info}; Debian's toolstack is in xen-utils, and xl needs root` };
  const why = abilityMissing(info, kind);
  if (why !== null) return { ok: false, why };
  try {
    await hostLimits(); // it may have to move this process into a group of its own, with nothing that waits left beside
    await mkdir(cache, { recursive: true, mode: 0o700 });
    const of = { mark, within: cache };
    await tried(xl, of, (trial) => runsTrial(trial, kind));
    const emulationWhy = await emulationProblem(xl, info, of);
    const running = (await xl.list()).filter(({ uuid }) => hasMark(mark, uuid));
    const roomMib = running.reduce((sum, { memoryMib }) => sum + memoryMib, info.freeMib);
    const images = { stock: await openStock(cache, "domain"), stockWhy: (await stockProblem("domain")) ?? "" };
    const missingNet = await networkMissing();
    const networkWhy = missingNet && `no network: it needs ${missingNet}`;
    const lvmWhy = await lvmProblem();
    const ratesWhy = await ratesProblem();
    const engine = `xen-${info.version}-${kind}`;
    return {
      ok: true,
      host: { xl, ready, kind, info, roomMib, ...(await loaderOf(kind)), ...images, networkWhy, emulationWhy, ratesWhy, lvmWhy, engine },
    };
  } catch (error) {
    return { ok: false, why: `a domain (${kind}) was tried: ${messageOf(error)}` };
  }
}
