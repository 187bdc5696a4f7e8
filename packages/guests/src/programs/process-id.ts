/** A process by its number and when it began, and how it ended. */
import type { ChildProcess } from "node:child_process";
import { readFile } from "node:fs/promises";
import { isRecord } from "../json.ts";

/** How a process is found again after the daemon was restarted: a pid alone may have been given to another. */
export interface ProcessId {
  pid: number;
  /** Start time in clock ticks since boot, from /proc/PID/stat. */
  startTicks: string;
}

export const isProcessId = (value: unknown): value is ProcessId =>
  isRecord(value) && typeof value["pid"] === "number" && typeof value["startTicks"] === "string";

/** Waits until a process runs. Throws where it cannot. */
export async function spawned(child: ChildProcess): Promise<number> {
  await new Promise<void>((resolve, reject) => child.once("spawn", resolve).once("error", reject));
  if (child.pid === undefined) throw new Error("a process was started without an id");
  return child.pid;
}

export async function startTicksOf(pid: number): Promise<string | null> {
  const stat = await readFile(`/proc/${pid}/stat`, "utf8").catch(() => null);
  if (stat === null) return null;
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  if (fields[0] === "Z") return null;
  const startTicks = fields[19];
  if (startTicks === undefined) throw new Error(`/proc/${pid}/stat does not say when the process began`);
  return startTicks;
}

export const isAlive = async ({ pid, startTicks }: ProcessId): Promise<boolean> => (await startTicksOf(pid)) === startTicks;

/** How a process ended: a code, or the signal that ended it. */
export interface Exit {
  code: number | null;
  signal: NodeJS.Signals | null;
}
