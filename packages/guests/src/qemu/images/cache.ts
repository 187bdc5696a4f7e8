/** What is made once and kept on disk to be used again, within bounds. Who controls the inputs: the host; how much is made, customers. */
import { access, chmod, mkdir, readdir, rename, rm, stat, utimes } from "node:fs/promises";
import path from "node:path";

const BLOCK_BYTES = 512;
const SPARE_MS = 60_000;
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
    const parts = path.relative(folder, file).split(path.sep);
    if (!entry.isFile() || parts.some((part) => part.endsWith(UNFINISHED))) continue;
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
}

/** A file that is made once, read-only, and used again until it is pruned. */
export async function cached({ folder, bytesMax }: Cache, name: string, make: (part: string) => Promise<void>): Promise<string> {
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
  await prune(folder, bytesMax, SPARE_MS);
  return file;
}
