/** What is made once and kept on disk to be used again, within bounds. Who controls the inputs: the host; how much is made, customers. */
import { createHash } from "node:crypto";
import { access, chmod, mkdir, readdir, rename, rm, stat, utimes, writeFile } from "node:fs/promises";
import path from "node:path";

const BLOCK_BYTES = 512;
/** What was used just now may not be linked yet by its machine. */
export const SPARE_MS = 60_000;
/** Of a cache, for what one customer had made or sent. */
export const SHARE = 0.5;
/** Of a cache's folder: by customer, an empty file by the name of each that was made for it. */
const MAKERS = "makers";
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
    if (!entry.isFile() || within[0] === MAKERS || within.some((part) => part.endsWith(UNFINISHED))) continue;
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

export interface Cache {
  folder: string;
  /** Of the disk; the least used goes first. */
  bytesMax: number;
  /** For whom things are made, by whose share they count; they are found for everybody. */
  customer?: string;
}

/** Removes the least used of what was made for one customer, until the rest is within its share. */
async function pruneShare({ folder, bytesMax }: Cache, customer: string): Promise<void> {
  const own = path.join(folder, MAKERS, customerFolder(customer));
  const files: { name: string; bytes: number; at: number }[] = [];
  for (const name of await readdir(own).catch(() => [])) {
    const found = await stat(path.join(folder, name)).catch(() => null);
    if (found) files.push({ name, bytes: found.blocks * BLOCK_BYTES, at: found.mtimeMs });
    else await rm(path.join(own, name), { force: true }); // pruned with all others
  }
  files.sort((a, b) => b.at - a.at);
  const before = Date.now() - SPARE_MS;
  let sum = 0;
  for (const { name, bytes, at } of files) {
    sum += bytes;
    if (sum <= bytesMax * SHARE || at > before) continue;
    await rm(path.join(folder, name), { force: true });
    await rm(path.join(own, name), { force: true });
  }
}

async function countFor({ folder }: Cache, customer: string, name: string): Promise<void> {
  const own = path.join(folder, MAKERS, customerFolder(customer));
  await mkdir(own, { recursive: true, mode: 0o700 });
  await writeFile(path.join(own, name), "", { mode: 0o600 });
}

/** The name of a folder for what is a customer's. */
export const customerFolder = (customer: string): string => createHash("sha256").update(customer).digest("hex").slice(0, 32);

/** A file that is made once, read-only, and used again until it is pruned. */
export async function cached(cache: Cache, name: string, make: (part: string) => Promise<void>): Promise<string> {
  const { folder, bytesMax, customer = "" } = cache;
  const file = path.join(folder, name);
  const there = await access(file).then(
    () => true,
    () => false,
  );
  if (there) {
    await touch(file);
    return file;
  }
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const part = `${file}.${process.pid}.${process.hrtime.bigint()}${UNFINISHED}`;
  try {
    await make(part);
    await chmod(part, 0o444);
    await rename(part, file);
  } finally {
    await rm(part, { recursive: true, force: true });
  }
  if (customer !== "") {
    await countFor(cache, customer, name);
    await pruneShare(cache, customer);
  }
  await prune(folder, bytesMax, SPARE_MS);
  return file;
}
