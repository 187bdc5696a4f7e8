/**
 * Copies a file or a folder of this machine into a running guest: each file has its name there when all of it has come, and one that was
 * cut off goes on where it was. Who controls the inputs: whoever runs this (source, target); the guest (answers).
 */
import { createHash } from "node:crypto";
import { createReadStream, type Stats } from "node:fs";
import { lstat, readdir, readlink } from "node:fs/promises";
import path from "node:path";
import { visible } from "@xenoservers/protocol";
import { GuestFileError, type GuestFiles, type Owner } from "./files.ts";
import { UnderWay } from "./under-way.ts";
import { sentTarget } from "../tree-plan.ts";

export interface CopyOptions {
  /** Owners as they are on the other side, not those of whoever copies. */
  owners: boolean;
  onProgress?(progress: CopyProgress): void;
  /** Of what comes out, how many bytes a folder here may be given; left out: as many as leave this machine some. */
  roomOf?(folder: string): Promise<number>;
}

export interface CopyProgress {
  bytes: number;
  /** Null while it is not known. */
  bytesInAll: number | null;
  files: number;
}

const MODE_MAX = 0o7777;
const FOLDER_MODE_WHILE = 0o700;
/** Smaller files come again from their beginning. */
const RESUMED_FROM_BYTES = 1024 * 1024;
const PIECE_BYTES = 64 * 1024;
const MS = 1_000;

interface Local {
  file: string;
  /** Below what is copied; empty for itself. */
  at: string;
  stats: Stats;
}

async function walk(file: string, at: string, found: Local[]): Promise<Local[]> {
  const stats = await lstat(file);
  found.push({ file, at, stats });
  if (!stats.isDirectory()) return found;
  for (const name of (await readdir(file)).sort()) await walk(path.join(file, name), at === "" ? name : `${at}/${name}`, found);
  return found;
}

const sum = (...texts: string[]): string => createHash("sha256").update(texts.join("\0")).digest("hex").slice(0, 32);

/** The same for the same bytes under the same name: what is there of it can be gone on from. */
async function partName(target: string, { file, stats }: Local): Promise<string> {
  const folder = path.posix.dirname(target);
  if (stats.size < RESUMED_FROM_BYTES) return path.posix.join(folder, `.xeno-part-${sum(target)}`);
  const hash = createHash("sha256");
  for await (const part of createReadStream(file)) hash.update(part as Uint8Array);
  return path.posix.join(folder, `.xeno-part-${sum(target, hash.digest("hex"))}`);
}

class CopyIn {
  readonly #files: GuestFiles;
  readonly #options: CopyOptions;
  readonly #progress: CopyProgress;
  readonly #underWay = new UnderWay();

  constructor(files: GuestFiles, options: CopyOptions, bytesInAll: number) {
    this.#files = files;
    this.#options = options;
    this.#progress = { bytes: 0, bytesInAll, files: 0 };
  }

  #told(bytes: number, files = 0): void {
    this.#progress.bytes += bytes;
    this.#progress.files += files;
    this.#options.onProgress?.(this.#progress);
  }

  #owner({ stats }: Local): Owner {
    return this.#options.owners ? { uid: stats.uid, gid: stats.gid } : null;
  }

  async *#bytesOf({ file, stats }: Local, offset: number): AsyncGenerator<Uint8Array> {
    if (offset === stats.size) return;
    let left = stats.size - offset;
    for await (const part of createReadStream(file, { start: offset, end: stats.size - 1, highWaterMark: PIECE_BYTES })) {
      const bytes = part as Uint8Array;
      left -= bytes.length;
      this.#told(bytes.length);
      yield bytes;
    }
    if (left > 0) throw new Error(`${file} became shorter while it was copied: copy it again`);
  }

  async #file(local: Local, target: string): Promise<void> {
    const { stats } = local;
    const part = await partName(target, local);
    const there = stats.size < RESUMED_FROM_BYTES ? 0 : await this.#files.partSize(part);
    const offset = there <= stats.size ? there : 0;
    this.#told(offset);
    const about = { size: stats.size, mode: stats.mode & MODE_MAX, owner: this.#owner(local), mtime: Math.floor(stats.mtimeMs / MS) };
    await this.#underWay.add(
      this.#files.put({ path: target, part, offset, ...about }, this.#bytesOf(local, offset)).then(() => this.#told(0, 1)),
    );
  }

  async #one(local: Local, target: string): Promise<void> {
    const { stats, file } = local;
    if (stats.isDirectory()) await this.#underWay.add(this.#files.folder(target, FOLDER_MODE_WHILE, this.#owner(local)));
    else if (stats.isSymbolicLink())
      await this.#underWay.add(this.#files.link(target, sentTarget(await readlink(file)), this.#owner(local)));
    else await this.#file(local, target);
  }

  async all(found: readonly Local[], target: string): Promise<void> {
    const at = (local: Local): string => (local.at === "" ? target : path.posix.join(target, local.at));
    for (const local of found) await this.#one(local, at(local));
    for (const local of found.toReversed()) {
      const { stats } = local;
      if (stats.isDirectory())
        await this.#underWay.add(this.#files.times(at(local), stats.mode & MODE_MAX, Math.floor(stats.mtimeMs / MS)));
    }
    await this.#underWay.all();
  }
}

/** Where it goes: into a folder that is there, by its own name, else by the name that was given (as `cp` does). */
async function targetIn(files: GuestFiles, source: string, stats: Stats, target: string): Promise<string> {
  const folder = await files.look(path.posix.join(target, "/."));
  const copiesContent = stats.isDirectory() && /(^|\/)\.?$/.test(source);
  if (folder?.kind === "folder") return copiesContent ? target : path.posix.join(target, path.basename(path.resolve(source)));
  if (target.endsWith("/") && !stats.isDirectory()) throw new GuestFileError(`${target} is no folder in the guest`);
  return target.replace(/\/+$/, "") || "/";
}

/** Sockets, pipes and devices mean nothing on another machine. */
const canGo = ({ stats }: Local): boolean => stats.isDirectory() || stats.isSymbolicLink() || stats.isFile();

/**
 * Throws GuestFileError with what the guest says; files that had come whole are there then. Returns what was left out, a line each, as
 * copies out of the guest do.
 */
export async function copyIn(files: GuestFiles, source: string, target: string, options: CopyOptions): Promise<string[]> {
  const stats = await lstat(source);
  const all = await walk(source, "", []);
  const found = all.filter(canGo);
  if (found.length === 0) throw new Error(`${source} is no file, folder or link: it cannot be copied`);
  const bytes = found.reduce((all, { stats: each }) => all + (each.isFile() ? each.size : 0), 0);
  await new CopyIn(files, options, bytes).all(found, await targetIn(files, source, stats, target));
  return all.filter((local) => !canGo(local)).map(({ at }) => `${visible(at)}: it is no file, folder or link`);
}
