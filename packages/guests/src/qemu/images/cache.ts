/** What is made once and kept on disk to be used again, within bounds. Who controls the inputs: the host; how much is made, customers. */
import { createHash } from "node:crypto";
import { access, chmod, mkdir, readdir, rename, rm, stat, utimes } from "node:fs/promises";
import path from "node:path";

const BLOCK_BYTES = 512;
/** What was used just now may not be linked yet by its machine. */
export const SPARE_MS = 60_000;
/** Of a cache, for what one customer had made or sent. */
export const SHARE = 0.5;
/** Of a cache's folder: what was made for each customer. */
const CUSTOMERS = "customers";
/** Of a machine's folder: what was made for it alone. */
const MADE = "made";
/** What is still being made bears this ending; it is whoever makes it who removes it. */
export const UNFINISHED = ".part";

/** Says that it was used now. */
export async function touch(file: string): Promise<void> {
  const now = new Date();
  await utimes(file, now, now).catch(() => {}); // pruned this moment: whoever wants it makes it again
}

interface KeptFile {
  file: string;
  /** Of the disk. */
  bytes: number;
  at: number;
}

/** What is kept below a folder, and nothing that is still being made. */
async function filesBelow(folder: string): Promise<KeptFile[]> {
  const files: KeptFile[] = [];
  for (const entry of await readdir(folder, { recursive: true, withFileTypes: true })) {
    const file = path.join(entry.parentPath, entry.name);
    const within = path.relative(folder, file).split(path.sep);
    if (!entry.isFile() || within.some((part) => part.endsWith(UNFINISHED))) continue;
    const found = await stat(file).catch(() => null);
    if (found) files.push({ file, bytes: found.blocks * BLOCK_BYTES, at: found.mtimeMs });
  }
  return files;
}

/** What all of it takes of the disk. */
export const bytesBelow = async (folder: string): Promise<number> => (await filesBelow(folder)).reduce((sum, { bytes }) => sum + bytes, 0);

/**
 * Removes the least recently used files below `folder` until the rest takes at most `bytesMax` of the disk. Machines hold a link of their
 * own to what they use; what was used within `spareMs` stays, for its machine may not have linked it yet. Idempotent.
 */
export async function prune(folder: string, bytesMax: number, spareMs = 0): Promise<void> {
  const before = Date.now() - spareMs;
  let sum = 0;
  for (const { file, bytes, at } of (await filesBelow(folder)).sort((a, b) => b.at - a.at)) {
    sum += bytes;
    if (sum > bytesMax && at <= before) await rm(file, { force: true });
  }
}

/** To be called before anything is made below a folder: what is unfinished there a killed daemon has left, and no bound counts it. */
export async function removeUnfinished(folder: string): Promise<void> {
  for (const entry of await readdir(folder, { recursive: true, withFileTypes: true }).catch(() => []))
    if (entry.name.endsWith(UNFINISHED)) await rm(path.join(entry.parentPath, entry.name), { recursive: true, force: true });
}

export interface Cache {
  folder: string;
  /** Of the disk; the least used goes first. */
  bytesMax: number;
  /** For whom things are made: he has a share of it, and nobody else finds them. Absent: for everybody. */
  customer?: string;
}

/** Of one machine, while it is laid out in its folder: what its customer wants to be forgotten goes with it. */
export const cacheFor = (
  cache: Cache,
  { customer, forgets = false, folder }: { customer: string; forgets?: boolean; folder: string },
): Cache => (forgets ? { folder: path.join(folder, MADE), bytesMax: Number.POSITIVE_INFINITY } : { ...cache, customer });

/** The same for what holds nothing of a customer's. */
export const forEverybody = ({ folder, bytesMax }: Cache): Cache => ({ folder, bytesMax });

/** Where what is made lies. */
export const madeIn = ({ folder, customer }: Cache): string =>
  customer === undefined ? folder : path.join(folder, CUSTOMERS, customerFolder(customer));

/** The name of a folder for what is a customer's. */
export const customerFolder = (customer: string): string => createHash("sha256").update(customer).digest("hex").slice(0, 32);

/** A file that is made once, read-only, and used again until it is pruned. */
export async function cached(cache: Cache, name: string, make: (part: string) => Promise<void>): Promise<string> {
  const { folder, bytesMax, customer } = cache;
  const own = madeIn(cache);
  const file = path.join(own, name);
  const there = await access(file).then(
    () => true,
    () => false,
  );
  if (there) {
    await touch(file);
    return file;
  }
  await mkdir(own, { recursive: true, mode: 0o700 });
  const part = `${file}.${process.pid}.${process.hrtime.bigint()}${UNFINISHED}`;
  try {
    await make(part);
    await chmod(part, 0o444);
    await rename(part, file);
  } finally {
    await rm(part, { recursive: true, force: true });
  }
  if (customer !== undefined) await prune(own, bytesMax * SHARE, SPARE_MS);
  await prune(folder, bytesMax, SPARE_MS);
  return file;
}
