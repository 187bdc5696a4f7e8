/**
 * How far a domain has come, in files of its folder, for the daemon that comes after one that was killed. Who controls the inputs: this
 * program.
 */
import { readFile } from "node:fs/promises";
import path from "node:path";
import { writeOwnAtOnce } from "../write-own.ts";

const PROGRESS = ["prepared", "begun", "restarting"] as const;
type Progress = (typeof PROGRESS)[number];

const progressFile = (folder: string): string => path.join(folder, "progress");

export async function progressOf(folder: string): Promise<Progress> {
  const text = await readFile(progressFile(folder), "utf8").catch(() => "prepared");
  return PROGRESS.find((each) => each === text) ?? "prepared";
}

export const reached = (folder: string, progress: Progress): void => writeOwnAtOnce(progressFile(folder), progress);

/** Which domain dom0's kernel was told all of: one that was made a moment before its daemon was killed has no disks. */
const madeFile = (folder: string): string => path.join(folder, "made");

export const isMade = async (folder: string, id: number): Promise<boolean> =>
  (await readFile(madeFile(folder), "utf8").catch(() => "")) === String(id);

export const wasMade = (folder: string, id: number): void => writeOwnAtOnce(madeFile(folder), String(id));
