/**
 * Folders of this machine as trees that travel, and back. What comes back was made by a stranger: nothing is written outside its folder
 * or through a link.
 */
import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { lstat, mkdir, open, readdir, readlink, rm, rmdir, stat, symlink, writeFile } from "node:fs/promises";
import path from "node:path";
import { JOB_LIMITS } from "@xenoservers/protocol";
import type { InputEntry } from "@xenoservers/protocol/channel";

export interface Blob {
  digest: string;
  size: number;
  read(offset: number, length: number): Promise<Uint8Array>;
}
export type SourceEntry =
  | { path: string; kind: "file"; blob: Blob }
  | { path: string; kind: "directory" }
  | { path: string; kind: "link"; target: string };

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

/** What stands for bytes that are no text. */
const NO_TEXT = "\ufffd";

/** A folder's content, sorted; links are kept as links. Throws, in words, for what cannot travel. */
export async function readTree(folder: string): Promise<SourceEntry[]> {
  const entries: SourceEntry[] = [];
  async function mustBeText(name: string, file: string): Promise<void> {
    if (name.includes(NO_TEXT) && !(await lstat(file).catch(() => null)))
      throw new Error(`the name of ${file} is no text in UTF-8; it cannot travel`);
  }
  const walk = async (below: string): Promise<void> => {
    const names = await readdir(path.join(folder, below), { withFileTypes: true }).catch((cause: unknown) => {
      throw new Error(`cannot read the folder ${path.join(folder, below)}`, { cause });
    });
    for (const entry of names.sort((a, b) => (a.name < b.name ? -1 : 1))) {
      const at = below === "" ? entry.name : `${below}/${entry.name}`;
      if (entries.length >= JOB_LIMITS.entries)
        throw new Error(`${folder} holds more than ${JOB_LIMITS.entries} files, folders and links; pack them into an archive`);
      await mustBeText(entry.name, path.join(folder, at));
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

const parentOf = (at: string): string => at.slice(0, Math.max(0, at.lastIndexOf("/")));

/**
 * Makes the parents of `at` below `folder`; refuses to go through anything that is not a real folder. `real`: those that are known to be.
 */
async function realParent(folder: string, at: string, real: Set<string>): Promise<void> {
  const missing: string[] = [];
  for (let above = parentOf(at); !real.has(above); above = parentOf(above)) missing.push(above);
  for (const above of missing.reverse()) {
    const current = path.join(folder, above);
    const found = await lstat(current).catch(absent);
    if (!found) await mkdir(current);
    else if (!found.isDirectory()) throw new Error(`the result wants to write through ${current}, which is no folder`);
    real.add(above);
  }
}

/** Names and paths that are too long for this machine, with the folder that they are written to. */
const TOO_LONG: readonly string[] = ["ENAMETOOLONG", "EINVAL"];
const isTooLong = (error: unknown): boolean => error instanceof Error && "code" in error && TOO_LONG.includes(String(error.code));
/** Of a file system call that failed: nothing there, unless its name cannot even be asked for. */
function absent(error: unknown): null {
  if (isTooLong(error)) throw error;
  return null;
}
/** A guest's name may hold anything; a terminal shows this. */
const shown = (name: string): string => name.replaceAll(/\p{C}/gu, "?");

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

interface WriteTreeOptions {
  /** Reads a file's bytes, digest checked. */
  fetch(entry: Extract<InputEntry, { kind: "file" }>): Promise<Uint8Array>;
  /** What was sent: entries that did not change are left alone, those that are gone are removed. */
  before?: readonly SourceEntry[];
}

/** Writes a tree below a folder; returns what was skipped, in words. */
export async function writeTree(
  folder: string,
  entries: readonly InputEntry[],
  { fetch, before = [] }: WriteTreeOptions,
): Promise<string[]> {
  await mkdir(folder, { recursive: true });
  const skipped: string[] = [];
  const known = new Map(before.map((entry) => [entry.path, entry]));
  const real = new Set([""]);
  for (const entry of entries) {
    const earlier = known.get(entry.path);
    known.delete(entry.path);
    try {
      await realParent(folder, entry.path, real);
      const why = await writeEntry(path.join(folder, entry.path), entry, earlier, fetch);
      if (why !== null) skipped.push(`${shown(entry.path)}: ${why}`);
    } catch (error) {
      if (!isTooLong(error)) throw error;
      skipped.push(`${shown(entry.path.slice(0, 60))}...: its name is too long for this machine`);
    }
  }
  await removeGone(folder, known);
  return skipped;
}

/** Returns why it was skipped; null where it was not. */
async function writeEntry(
  target: string,
  entry: InputEntry,
  earlier: SourceEntry | undefined,
  fetch: WriteTreeOptions["fetch"],
): Promise<string | null> {
  const present = await lstat(target).catch(absent);
  const isFolder = present?.isDirectory() === true;
  switch (entry.kind) {
    case "directory":
      if (!present) await mkdir(target);
      return present && !isFolder ? OTHER : null;
    case "link":
      if (earlier?.kind === "link" && earlier.target === entry.target) return null;
      if (!staysInside(entry.path, entry.target)) return "a link that points outside";
      if (present && !isFolder) await rm(target);
      return symlink(entry.target, target).then(
        () => null,
        () => OTHER,
      );
    case "file":
      if (earlier?.kind === "file" && earlier.blob.digest === entry.digest) return null;
      if (present?.isSymbolicLink()) await rm(target);
      if (isFolder) return "there is a folder of that name";
      await writeFile(target, await fetch(entry));
      return null;
  }
}
const OTHER = "there is something else of that name";

async function removeGone(folder: string, known: ReadonlyMap<string, SourceEntry>): Promise<void> {
  for (const [gone, { kind }] of [...known].sort(([a], [b]) => (a < b ? 1 : -1))) {
    const target = path.join(folder, gone);
    if (kind === "directory") await rmdir(target).catch(() => {});
    else await rm(target, { force: true });
  }
}
