/**
 * What this machine can do with Xen: tried, not believed. Every part says in words what is missing and what to start or install. Who
 * controls the inputs: the owner's machine.
 */
import { mkdtemp, readFile, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { openStock, stockProblem, type Stock } from "../qemu/images/stock.ts";
import { domainUuid, hasMark } from "./domain-names.ts";
import { messageOf } from "../thrown.ts";
import { overlaysMissing } from "./disk-overlay.ts";
import { isThere } from "./domain-disk.ts";
import { networkMissing } from "./domain-network.ts";
import { domainConfig, type DomainKind } from "./domain-config.ts";
import { TRIAL_MEMORY_MIB, trialKernel } from "./trial-kernel.ts";
import { Xl } from "./xl.ts";
import type { XenInfo } from "./xen-info.ts";

export interface XenHost {
  xl: Xl;
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
  /** For domains of leases, those that run already included. */
  roomMib: number;
  /** As offers and results name it. */
  engine: string;
}

export type XenHostState = { ok: true; host: XenHost } | { ok: false; why: string };

const TRIAL_MS = 120_000;
const POLL_MS = 200;

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
  { name: /^(oxenstored|xenstored)$/, why: "xenstored does not run: start it (systemctl start xenstored)" },
  {
    name: /^xenconsoled$/,
    why: "xenconsoled does not run, and without it no domain has a console: start it (systemctl start xenconsoled)",
  },
] as const;

async function missing(info: XenInfo, kind: DomainKind): Promise<string | null> {
  for (const { name, why } of DAEMONS) if (!(await runs(name))) return why;
  const needs = kind === "pvh" ? ["hvm", "hap"] : ["pv"];
  const lacks = needs.find((ability) => !info.abilities.includes(ability));
  return lacks === undefined ? null : `this hypervisor gives no ${lacks}, which ${kind} domains need: set xen.guests to another kind`;
}

/** A real domain, from its making to its end: what it runs ends it at once. */
async function tried(xl: Xl, kind: DomainKind, mark: string): Promise<void> {
  const folder = await mkdtemp(path.join(tmpdir(), "xeno-trial-"));
  const name = `xeno-trial-${process.pid}`;
  const here = async () => (await xl.list()).find((domain) => domain.name === name);
  const until = async (is: () => Promise<boolean>, why: string): Promise<void> => {
    for (const deadline = Date.now() + TRIAL_MS; !(await is()); await new Promise((resolve) => setTimeout(resolve, POLL_MS)))
      if (Date.now() > deadline) throw new Error(why);
  };
  try {
    const kernel = path.join(folder, "kernel");
    await writeFile(kernel, trialKernel());
    const plan = { kind, name, kernel, ramdisk: null, commandLine: "", memoryMib: TRIAL_MEMORY_MIB, vcpu: 1 };
    await writeFile(path.join(folder, "domain.cfg"), domainConfig({ ...plan, uuid: domainUuid(mark, name) }, []));
    await xl.create(path.join(folder, "domain.cfg"), { kernelMib: 1 });
    const id = (await here())?.id;
    if (id === undefined) throw new Error("the domain that was made is not listed");
    await until(async () => (await xl.console(id)) !== null, "xenconsoled opens no console for it");
    await xl.unpause(id);
    await until(async () => (await here())?.shutdown !== null, "it does not run");
  } finally {
    const left = await here().catch(() => undefined);
    if (left) await xl.destroy(left.id).catch(() => {});
    await rm(folder, { recursive: true, force: true });
  }
}

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
  xl: Xl = new Xl(),
): Promise<XenHostState> {
  if (!(await isDom0())) return { ok: false, why: "this system is not dom0 of a Xen host" };
  const info = await xl.info().catch((error: unknown) => messageOf(error));
  if (typeof info === "string") return { ok: false, why: `${info}; Debian's toolstack is in xen-utils, and xl needs root` };
  const why = await missing(info, kind);
  if (why !== null) return { ok: false, why };
  try {
    await tried(xl, kind, mark);
    const running = (await xl.list()).filter(({ uuid }) => hasMark(mark, uuid));
    const roomMib = running.reduce((sum, { memoryMib }) => sum + memoryMib, info.freeMib);
    const images = { stock: await openStock(cache, "domain"), stockWhy: (await stockProblem("domain")) ?? "" };
    const missingNet = await networkMissing();
    const networkWhy = missingNet && `no network: it needs ${missingNet}`;
    const engine = `xen-${info.version}-${kind}`;
    return { ok: true, host: { xl, kind, info, roomMib, ...(await loaderOf(kind)), ...images, networkWhy, engine } };
  } catch (error) {
    return { ok: false, why: `a domain (${kind}) was tried: ${messageOf(error)}` };
  }
}
