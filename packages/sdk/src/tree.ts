/**
 * Folders of this machine as trees that travel, and back. What comes back was made by a stranger: nothing is written outside its folder
 * or through a link.
 */
import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { lstat, mkdir, open, readdir, readlink, rm, rmdir, stat, symlink, writeFile } from "node:fs/promises";
import path from "node:path";
import type { InputEntry } from "@xenoservers/protocol/channel";

export interface Blob {
  digest: string;
  size: number;
  read(offset: number, length: number): Promise<Uint8Array>;
}
export type SourceEntry = { path: string; kind: "file"; blob: Blob } | { path: string; kind: "directory" } | { path: string; kind: "link"; target: string };

export function bytesBlob(bytes: Uint8Array): Blob {
  return {
    digest: createHash("sha256").update(bytes).digest("hex"),
    size: bytes.length,
    read: async (offset, length) => bytes.subarray(offset, offset + length),
  };
}

export const readAt =
  (file: string, size: number): Blob["read"] =>
  async (offset, length) => {
    const handle = await open(file, "r");
    try {
      const bytes = new Uint8Array(Math.min(length, Math.max(0, size - offset)));
      const { bytesRead } = await handle.read(bytes, 0, bytes.length, offset);
      return bytes.subarray(0, bytesRead);
    } finally {
      await handle.close();
    }
  };

export async function fileBlob(file: string): Promise<Blob> {
  const { size } = await stat(file);
  const hash = createHash("sha256");
  for await (const chunk of createReadStream(file)) hash.update(chunk);
  return {
    digest: hash.digest("hex"),
    size,
    read: readAt(file, size),
  };
}

/** A folder's content, sorted; links are kept as links. */
export async function readTree(folder: string): Promise<SourceEntry[]> {
  const entries: SourceEntry[] = [];
  const walk = async (below: string): Promise<void> => {
    const names = await readdir(path.join(folder, below), { withFileTypes: true }).catch((cause: unknown) => {
      throw new Error(`cannot read the folder ${path.join(folder, below)}`, { cause });
    });
    for (const entry of names.sort((a, b) => (a.name < b.name ? -1 : 1))) {
      const at = below === "" ? entry.name : `${below}/${entry.name}`;
      if (entry.isDirectory()) {
        entries.push({ path: at, kind: "directory" });
        await walk(at);
      } else if (entry.isSymbolicLink()) entries.push({ path: at, kind: "link", target: await readlink(path.join(folder, at)) });
      else if (entry.isFile()) entries.push({ path: at, kind: "file", blob: await fileBlob(path.join(folder, at)) });
      else throw new Error(`${path.join(folder, at)} is neither a file, a folder nor a link; it cannot travel`);
    }
  };
  await walk("");
  return entries;
}

/** Makes the parents of `at` below `folder`; refuses to go through anything that is not a real folder. */
async function realParent(folder: string, at: string): Promise<void> {
  let current = folder;
  for (const part of at.split("/").slice(0, -1)) {
    current = path.join(current, part);
    const found = await lstat(current).catch(() => null);
    if (!found) await mkdir(current);
    else if (!found.isDirectory()) throw new Error(`the result wants to write through ${current}, which is no folder`);
  }
}

/**
 * Whether a link leads to below its folder, whatever other such links it passes: it goes up no further than it lies deep, and never up
 * again after a name, which may be a link itself.
 */
function staysInside(at: string, target: string): boolean {
  if (path.isAbsolute(target)) return false;
  const parts = target.split("/").filter((part) => part !== "" && part !== ".");
  const ups = parts.findIndex((part) => part !== "..");
  const names = ups < 0 ? [] : parts.slice(ups);
  return (ups < 0 ? parts.length : ups) <= at.split("/").length - 1 && !names.includes("..");
}

export interface WriteTreeOptions {
  /** Reads a file's bytes, digest checked. */
  fetch(entry: Extract<InputEntry, { kind: "file" }>): Promise<Uint8Array>;
  /** What was sent: entries that did not change are left alone, those that are gone are removed. */
  before?: readonly SourceEntry[];
}

/** Writes a tree below a folder; returns what was skipped, in words. */
export async function writeTree(folder: string, entries: readonly InputEntry[], { fetch, before = [] }: WriteTreeOptions): Promise<string[]> {
  await mkdir(folder, { recursive: true });
  const skipped: string[] = [];
  const known = new Map(before.map((entry) => [entry.path, entry]));
  for (const entry of entries) {
    const target = path.join(folder, entry.path);
    const earlier = known.get(entry.path);
    known.delete(entry.path);
    await realParent(folder, entry.path);
    const present = await lstat(target).catch(() => null);
    if (entry.kind === "directory") {
      if (!present) await mkdir(target);
      else if (!present.isDirectory()) skipped.push(`${entry.path}: there is something else of that name`);
    } else if (entry.kind === "link") {
      if (earlier?.kind === "link" && earlier.target === entry.target) continue;
      if (!staysInside(entry.path, entry.target)) skipped.push(`${entry.path}: a link that points outside`);
      else {
        if (present && !present.isDirectory()) await rm(target);
        await symlink(entry.target, target).catch(() => skipped.push(`${entry.path}: there is something else of that name`));
      }
    } else {
      if (earlier?.kind === "file" && earlier.blob.digest === entry.digest) continue;
      if (present?.isSymbolicLink()) await rm(target);
      if (present?.isDirectory()) skipped.push(`${entry.path}: there is a folder of that name`);
      else await writeFile(target, await fetch(entry));
    }
  }
  for (const [gone, { kind }] of [...known].sort(([a], [b]) => (a < b ? 1 : -1))) {
    const target = path.join(folder, gone);
    if (kind === "directory") await rmdir(target).catch(() => {});
    else await rm(target, { force: true });
  }
  return skipped;
}
