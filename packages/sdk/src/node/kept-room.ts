/**
 * What is kept on this machine only to save time or to be run again: images, the jobs that were sent, and what small ones came to. All of
 * it together has a bound, beyond which what was used least lately goes. Receipts, what was signed, promises and keys are none of it. Who
 * controls the inputs: whoever runs this; registries, how large images are.
 */
import { rm, stat, utimes } from "node:fs/promises";
import path from "node:path";
import { ifThere } from "@xenoservers/protocol/files";
import { filesBelow } from "./files-below.ts";

interface KeptBounds {
  bytesMax: number;
  /** What was used so lately stays: another xeno may be reading it. */
  spareMs: number;
}

const GIB = 1024 * 1024 * 1024;
const BOUNDS: KeptBounds = { bytesMax: 8 * GIB, spareMs: 6 * 3_600_000 };
export const KEPT_BYTES_MAX = BOUNDS.bytesMax;

/** Folders of the data folder that may be emptied, with what people call their contents. */
export const EMPTIED = [
  ["oci", "images"],
  ["blobs", "files of jobs"],
  ["jobs", "jobs"],
  ["runs", "results"],
] as const;

/** It was used now. */
export async function touchKept(file: string): Promise<void> {
  const now = new Date();
  await ifThere(utimes(file, now, now));
}

/** Drops what was used least lately until the rest is within the bound; nothing that another xeno needs meanwhile. */
export async function pruneKept(data: string, now = Date.now(), { bytesMax, spareMs }: KeptBounds = BOUNDS): Promise<void> {
  const all = await Promise.all(EMPTIED.map(([name]) => filesBelow(path.join(data, name))));
  let sum = 0;
  for (const { file, bytes, at } of all.flat().toSorted((a, b) => b.at - a.at)) {
    sum += bytes;
    if (sum > bytesMax && at < now - spareMs && (await isUnused(file, at))) await rm(file, { force: true });
  }
}

/** Whether nobody used it since it was looked at. */
const isUnused = async (file: string, at: number): Promise<boolean> => (await ifThere(stat(file)))?.mtimeMs === at;
