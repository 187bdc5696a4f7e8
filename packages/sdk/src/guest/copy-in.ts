/**
 * Copies a file or a folder of this machine into a running guest: each file has its name there when all of it has come, and one that was
 * cut off goes on where it was. Who controls the inputs: whoever runs this (source, target); the guest (answers).
 */
import { createHash } from "node:crypto";
import { constants, type Stats } from "node:fs";
import { lstat, open, readdir, readlink, stat, type FileHandle } from "node:fs/promises";
import path from "node:path";
import { visible } from "@xenoservers/protocol";
import { bytesOfName, nameOf } from "../byte-names.ts";
import { kernelPath } from "../kernel-path.ts";
import { GuestFileError, GuestRefusal, type GuestFiles, type Owner, type Run } from "./files.ts";
import { BLOCK_BYTES } from "./holes-here.ts";
import { UnderWay } from "./under-way.ts";
import { WINDOWS, sentTarget } from "../tree-plan.ts";

export interface CopyOptions {
  /** Owners as they are on the other side, not those of whoever copies. */
  owners: boolean;
  /** Whose guest it is: of what came of another's nothing is gone on with. */
  lease?: string;
  onProgress?(progress: CopyProgress): void;
  /** Of what comes out, how many bytes a folder here may be given; left out: as many as leave this machine some. */
  roomOf?(folder: string): Promise<number>;
  /** For tests of file systems that have no holes. */
  keepsHoles?(folder: string): Promise<boolean>;
  /** For tests of file systems that have no links. */
  makeLink?(target: string, file: string): Promise<void>;
}

export interface CopyProgress {
  bytes: number;
  /** Null while it is not known. */
  bytesInAll: number | null;
  files: number;
}

const MODE_MAX = 0o7777;
/** Smaller files come again from their beginning. */
const RESUMED_FROM_BYTES = 1024 * 1024;
const PIECE_BYTES = 64 * 1024;
const HOLE = Buffer.alloc(PIECE_BYTES);
/** Of what is read and for the most part not sent. */
const READ_BYTES = 1024 * 1024;
const MS = 1_000;

interface Local {
  file: string;
  /** Below what is copied; empty for itself. */
  at: string;
  stats: Stats;
}

/** Of a file that has come under its first. */
interface OtherName {
  local: Local;
  target: string;
  first: string;
}

interface Found {
  locals: Local[];
  /** In words, a line each. */
  leftOut: string[];
}

/** Of this machine's files; below what is copied it is named and left out. */
class Unread extends Error {
  override name = "Unread";
}

/** Whatever lies there by now: a pipe would wait for a writer. */
const READ = constants.O_RDONLY | (constants.O_NONBLOCK ?? 0);

async function reading<T>(work: Promise<T>): Promise<T> {
  return work.catch((error: NodeJS.ErrnoException) => {
    if (error instanceof Unread) throw error;
    const what = error.code === "ENOENT" ? "it went while it was copied" : `it cannot be read (${error.message.split(", ")[0]})`;
    throw new Unread(what, { cause: error });
  });
}

/** Sockets, pipes and devices mean nothing on another machine. */
const canGo = (stats: Stats): boolean => stats.isDirectory() || stats.isSymbolicLink() || stats.isFile();

const below = (at: string, name: string): string => (at === "" ? name : `${at}/${name}`);

/** Who is nothing but what is copied is no exception. */
async function unlessUnread(at: string, leftOut: string[], work: Promise<void>): Promise<void> {
  await work.catch((error: unknown) => {
    if (!(error instanceof Unread)) throw error;
    if (at === "") throw error.cause ?? error;
    leftOut.push(`${visible(at)}: ${error.message}`);
  });
}

/** Parents first. */
async function walk(local: Local, found: Found): Promise<void> {
  const { file, at, stats } = local;
  if (canGo(stats)) found.locals.push(local);
  else found.leftOut.push(`${visible(at)}: it is no file, folder or link`);
  if (!stats.isDirectory()) return;
  const names = await reading(readdir(kernelPath(file), { encoding: "buffer" }));
  for (const name of names.map((each) => nameOf(each)).sort()) {
    const [one, inside] = [path.join(file, name), below(at, name)];
    const walked = reading(lstat(kernelPath(one))).then((looked) => walk({ file: one, at: inside, stats: looked }, found));
    await unlessUnread(inside, found.leftOut, walked);
  }
}

const becameShorter = (file: string): Error => new Error(`${file} became shorter while it was copied: copy it again`);

/** Files of the kernel's (/proc) say that they are empty, and are not. */
async function assertEmpty(file: string, handle: FileHandle): Promise<void> {
  if ((await handle.read(Buffer.alloc(1), 0, 1)).bytesRead === 0) return;
  const why = "has no size and is not empty";
  throw new Unread(`it ${why}`, { cause: new Error(`${file} ${why}: copy a file that holds what it says`) });
}

/** What is opened may be something else by now than what was looked at. */
async function openedFile(file: string): Promise<FileHandle> {
  const handle = await open(kernelPath(file), READ);
  if ((await handle.stat()).isFile()) return handle;
  await handle.close();
  throw new Unread("it became something else while it was copied", { cause: new Error(`${file} is no file any more: copy it again`) });
}

/** As much of it as it had when it was looked at. */
async function readUpTo(file: string, size: number): Promise<Uint8Array> {
  const bytes = Buffer.alloc(size);
  const handle = await openedFile(file);
  try {
    if (size === 0) await assertEmpty(file, handle);
    for (let at = 0; at < size;) {
      const { bytesRead } = await handle.read(bytes, at, size - at);
      if (bytesRead === 0) throw new Unread("it became shorter while it was copied", { cause: becameShorter(file) });
      at += bytesRead;
    }
  } finally {
    await handle.close();
  }
  return bytes;
}

async function* only(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes;
}

const sum = (...texts: string[]): string =>
  createHash("sha256")
    .update(bytesOfName(texts.join("\0")))
    .digest("hex")
    .slice(0, 32);

/** Where the bytes of a file lie until all have come: of one that begins anew when it is cut off. */
export const plainPart = (target: string): string => path.posix.join(path.posix.dirname(target), `.xeno-part-${sum(target)}`);

/** The same for the same bytes under the same name: what is there of it can be gone on from. */
async function partName(target: string, { stats }: Local, handle: FileHandle): Promise<string> {
  const folder = path.posix.dirname(target);
  if (stats.size < RESUMED_FROM_BYTES) return plainPart(target);
  const hash = createHash("sha256");
  for await (const part of handle.createReadStream({ start: 0, autoClose: false, highWaterMark: READ_BYTES }))
    hash.update(part as Uint8Array);
  return path.posix.join(folder, `.xeno-part-${sum(target, hash.digest("hex"))}`);
}

/** The same for all names of one file; null of one that has no other, as far as this system can tell. */
async function whichFile({ file, stats }: Local): Promise<string | null> {
  if (WINDOWS || !stats.isFile() || stats.nlink < 2) return null;
  // as numbers two files may be the same
  const now = await lstat(kernelPath(file), { bigint: true }).catch(() => null);
  return now && `${now.dev}:${now.ino}`;
}

class CopyIn {
  readonly #files: GuestFiles;
  readonly #options: CopyOptions;
  readonly #progress: CopyProgress;
  readonly #underWay = new UnderWay();
  #knowsHoles: Promise<boolean> | null = null;
  /** Folders that were not there before. */
  readonly #made = new Set<string>();
  /** Files that could not be read: what has their name there is another. */
  readonly #unread = new Set<string>();
  readonly #leftOut: string[];

  constructor(files: GuestFiles, options: CopyOptions, leftOut: string[], bytesInAll: number) {
    this.#files = files;
    this.#options = options;
    this.#leftOut = leftOut;
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

  async *#bytesOf({ file, stats }: Local, handle: FileHandle, start: number, highWaterMark = PIECE_BYTES): AsyncGenerator<Uint8Array> {
    if (start === stats.size) return;
    let left = stats.size - start;
    for await (const part of handle.createReadStream({ start, end: stats.size - 1, autoClose: false, highWaterMark })) {
      const bytes = part as Uint8Array;
      left -= bytes.length;
      this.#told(bytes.length);
      yield bytes;
    }
    if (left > 0) throw becameShorter(file);
  }

  /** All but pieces that are zeros throughout: a file that takes less than it holds has them as holes, and gets them there. */
  async *#runsOf(local: Local, handle: FileHandle, offset: number): AsyncGenerator<Run> {
    let at = offset;
    for await (const read of this.#bytesOf(local, handle, offset, READ_BYTES))
      for (let from = 0; from < read.length; from += PIECE_BYTES) {
        const bytes = read.subarray(from, from + PIECE_BYTES);
        if (!HOLE.subarray(0, bytes.length).equals(bytes)) yield { at, bytes };
        at += bytes.length;
      }
  }

  #wanted(local: Local, path: string, part: string, offset: number): Parameters<GuestFiles["put"]>[0] {
    const { size, mode, mtimeMs } = local.stats;
    return { path, part, offset, size, mode: mode & MODE_MAX, owner: this.#owner(local), mtime: Math.floor(mtimeMs / MS) };
  }

  /** Read before its turn comes, while others are: each would wait for the disk alone. */
  async #small(local: Local, target: string): Promise<void> {
    const bytes = await reading(readUpTo(local.file, local.stats.size));
    await this.#files.put(this.#wanted(local, target, plainPart(target), 0), only(bytes));
    this.#told(bytes.length, 1);
  }

  async #send(local: Local, handle: FileHandle, wanted: Parameters<GuestFiles["put"]>[0]): Promise<void> {
    const { size, blocks } = local.stats;
    const hasHoles = size >= RESUMED_FROM_BYTES && blocks * BLOCK_BYTES < size;
    if (hasHoles && (await (this.#knowsHoles ??= this.#files.can("fill"))))
      await this.#files.fill(wanted, this.#runsOf(local, handle, wanted.offset));
    else await this.#files.put(wanted, this.#bytesOf(local, handle, wanted.offset));
    this.#told(0, 1);
  }

  async #large(local: Local, target: string): Promise<void> {
    const { size } = local.stats;
    const handle = await reading(openedFile(local.file));
    let sending: Promise<void> | null = null;
    try {
      const part = await reading(partName(target, local, handle));
      const there = size < RESUMED_FROM_BYTES ? 0 : await this.#files.partSize(part);
      const offset = there <= size ? there : 0;
      this.#told(offset);
      sending = this.#send(local, handle, this.#wanted(local, target, part, offset)).finally(() => handle.close());
    } finally {
      if (sending === null) await handle.close();
    }
    await this.#underWay.add(sending);
  }

  async #file(local: Local, target: string): Promise<void> {
    const unread = (error: unknown): never => {
      this.#unread.add(target);
      throw error;
    };
    const noted = (work: Promise<void>): Promise<void> => unlessUnread(local.at, this.#leftOut, work.catch(unread));
    if (local.stats.size <= PIECE_BYTES) await this.#underWay.add(noted(this.#small(local, target)));
    else await noted(this.#large(local, target));
  }

  async #link(local: Local, target: string): Promise<void> {
    await this.#files.link(
      target,
      sentTarget(nameOf(await reading(readlink(kernelPath(local.file), { encoding: "buffer" })))),
      this.#owner(local),
    );
  }

  async #one(local: Local, target: string): Promise<void> {
    const { stats } = local;
    if (stats.isDirectory())
      // its own mode at once: a copy that goes on after a cut finds it there, and leaves it as it is
      await this.#underWay.add(
        this.#files.folder(target, stats.mode & MODE_MAX, this.#owner(local)).then((made) => void (made && this.#made.add(target))),
      );
    else if (stats.isSymbolicLink()) await this.#underWay.add(unlessUnread(local.at, this.#leftOut, this.#link(local, target)));
    else await this.#file(local, target);
  }

  /** More names of files that have come; where the first did not, or the guest makes none (another file system), each is a file. */
  async #names(more: readonly OtherName[]): Promise<void> {
    const refused = more.filter(({ first }) => this.#unread.has(first));
    for (const each of more.filter(({ first }) => !this.#unread.has(first))) {
      const named = this.#files.name(each.target, each.first).then(
        () => this.#told(each.local.stats.size, 1),
        (error: unknown) => {
          if (!(error instanceof GuestRefusal)) throw error;
          refused.push(each);
        },
      );
      await this.#underWay.add(named);
    }
    await this.#underWay.all();
    for (const { local, target } of refused) await this.#file(local, target);
  }

  async all(found: readonly Local[], target: string): Promise<void> {
    const at = (local: Local): string => (local.at === "" ? target : path.posix.join(target, local.at));
    const firsts = new Map<string, string>();
    const more: OtherName[] = [];
    for (const local of found) {
      const file = await whichFile(local);
      const first = file === null ? undefined : firsts.get(file);
      if (first !== undefined) more.push({ local, target: at(local), first });
      else await this.#one(local, at(local));
      if (file !== null && first === undefined) firsts.set(file, at(local));
    }
    await this.#underWay.all();
    await this.#names(more);
    await this.#underWay.all();
    for (const local of found.toReversed()) {
      const { stats } = local;
      if (this.#made.has(at(local)))
        await this.#underWay.add(this.#files.times(at(local), stats.mode & MODE_MAX, Math.floor(stats.mtimeMs / MS)));
    }
    await this.#underWay.all();
  }
}

/** Where it goes: into a folder that is there, by its own name, else by the name that was given (as `cp` does). */
async function targetIn(files: GuestFiles, source: string, stats: Stats, target: string): Promise<string> {
  const folder = await files.lookBehind(target);
  const copiesContent = stats.isDirectory() && /(^|\/)\.?$/.test(source);
  if (folder?.kind === "folder") return copiesContent ? target : path.posix.join(target, path.basename(path.resolve(source)));
  if (target.endsWith("/") && !stats.isDirectory()) throw new GuestFileError(`${target} is no folder in the guest`);
  return target.replace(/\/+$/, "") || "/";
}

/**
 * A link that is named itself is followed, as on the way out; links below are copied as links. Throws GuestFileError with what the guest
 * says; files that had come whole are there then. Returns what was left out, a line each, as copies out of the guest do: what means nothing
 * elsewhere, and what cannot be read here or went meanwhile.
 */
export async function copyIn(files: GuestFiles, source: string, target: string, options: CopyOptions): Promise<string[]> {
  const stats = await stat(source).catch(() => lstat(source));
  const found: Found = { locals: [], leftOut: [] };
  const { locals, leftOut } = found;
  await unlessUnread("", leftOut, walk({ file: source, at: "", stats }, found));
  if (locals.length === 0) throw new Error(`${source} is no file, folder or link: it cannot be copied`);
  const bytes = locals.reduce((all, { stats: each }) => all + (each.isFile() ? each.size : 0), 0);
  await new CopyIn(files, options, leftOut, bytes).all(locals, await targetIn(files, source, stats, target));
  return leftOut;
}
