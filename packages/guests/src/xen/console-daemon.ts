/**
 * Whether a pseudo-terminal is one that xenconsoled has made, and not another program's that got the number of one that is gone: where
 * xenconsoled ended by itself, xenstore still names what it had. Who controls the inputs: every program of dom0 (which numbers are in use).
 */
import { readFile, readdir } from "node:fs/promises";
import { startTicksOf } from "../programs/process-id.ts";

const TICKS_PER_SECOND = 100;

export interface ConsoleDaemon {
  /** How its program is called. */
  name: string;
  /** After its start it makes a terminal for each domain anew, and what xenstore says of the others is still its predecessor's. */
  settledSeconds: number;
}

export const XENCONSOLED: ConsoleDaemon = { name: "xenconsoled", settledSeconds: 2 };
/** Of a domain with emulated hardware, by as much of its name as the kernel keeps; it ends with the domain, and makes its line once. */
export const QEMU_OF_XEN: ConsoleDaemon = { name: "xen-qemu-system", settledSeconds: 0 };

const textOf = (file: string): Promise<string> => readFile(file, "utf8").catch(() => "");

/** What it opened last, which mostly has the highest number, is looked at first: it has some for each domain. */
async function hasMaster(pid: string, index: string): Promise<boolean> {
  const fds = await readdir(`/proc/${pid}/fdinfo`).catch(() => []);
  for (const fd of fds.toSorted((a, b) => Number(b) - Number(a)))
    if (new RegExp(`^tty-index:\\t${index}$`, "m").test(await textOf(`/proc/${pid}/fdinfo/${fd}`))) return true;
  return false;
}

async function hasRun(pid: string, seconds: number): Promise<boolean> {
  const started = Number((await startTicksOf(Number(pid))) ?? Number.NaN) / TICKS_PER_SECOND;
  const now = Number((await textOf("/proc/uptime")).split(" ")[0]);
  return now - started >= seconds;
}

/** Where each was found last: it is nearly always there, and dom0 has hundreds of processes. */
const lastFound = new Map<string, string>();

const isOf = async (name: string, pid: string, index: string): Promise<boolean> =>
  (await textOf(`/proc/${pid}/comm`)).trim() === name && (await hasMaster(pid, index));

/** Asked while the terminal is open here, for until it is closed its number is nobody else's. */
export async function isConsoleOf({ name, settledSeconds }: ConsoleDaemon, tty: string): Promise<boolean> {
  const index = /^\/dev\/pts\/(\d+)$/.exec(tty)?.[1];
  if (index === undefined) return false;
  const last = lastFound.get(name);
  if (last !== undefined && (await isOf(name, last, index))) return hasRun(last, settledSeconds);
  for (const pid of await readdir("/proc")) {
    if (!/^\d+$/.test(pid) || !(await isOf(name, pid, index))) continue;
    lastFound.set(name, pid);
    return hasRun(pid, settledSeconds);
  }
  return false;
}
