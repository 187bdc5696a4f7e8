/**
 * Copies a file or a folder out of a running guest: through real folders alone, each file whole or not at all, no link that leads outside.
 * Who controls the inputs: the guest (names, kinds, link targets, bytes), whoever runs this (the folder).
 */
import { createHash } from "node:crypto";
import { chmod, constants, lchown, lstat, mkdir, open, rm, symlink, utimes, type FileHandle } from "node:fs/promises";
import path from "node:path";
import { visible } from "@xenoservers/protocol";
import { nameBeside, systemCode } from "@xenoservers/protocol/files";
import { bytesOfName } from "../byte-names.ts";
import { kernelPath } from "../kernel-path.ts";
import { RealFolders } from "../real-folders.ts";
import { roomIn } from "../room.ts";
import {
  WINDOWS,
  foldersOf,
  noLinksHere,
  pathProblem,
  refusedLinks,
  sentTarget,
  type LeftOut,
  type Present,
  type TreeLink,
} from "../tree-plan.ts";
import type { CopyOptions, CopyProgress } from "./copy-in.ts";
import { GuestFileError, GuestRefusal, type GuestEntry, type GuestFiles, type SparseSink } from "./files.ts";
import { BEHIND_HOLE_BYTES, keepsHoles } from "./holes-here.ts";
import { folderThere, giveName, giveNameOf, giveNameTo, named, openPart } from "./in-place.ts";
import { listed } from "./listed.ts";
import { firstsOf } from "./same-file.ts";
import { isFolder, takesBytes } from "./takes-bytes.ts";
import { UnderWay } from "./under-way.ts";

/** Never a stranger's set-user-id bits. */
const MODE_MAX = 0o777;
/** Of its owner while a folder is filled. */
const OWNERS_MODE = 0o700;
/** Smaller files come again from their beginning. */
const RESUMED_FROM_BYTES = 1024 * 1024;
/** Written while others come: of a file that says it is no larger so much is held here. */
const COLLECTED_BYTES = 64 * 1024;
const NAME_CHARS = 32;

const absent = (error: unknown): null => {
  if (systemCode(error) === "ENOENT") return null;
  throw error;
};

/** The same for the same file of a guest and the same name here, as long as it has not changed: what is here of it is gone on from. */
const partName = (lease: string, source: string, at: string, { size, mtime }: GuestEntry): string =>
  `.xeno-part-${createHash("sha256")
    .update(bytesOfName([lease, source, at, size, mtime].join("\0")))
    .digest("hex")
    .slice(0, NAME_CHARS)}`;

/** There, whatever others do with the file. */
async function writeAll(handle: FileHandle, bytes: Uint8Array, at: number): Promise<void> {
  for (let done = 0; done < bytes.length;) done += (await handle.write(bytes, done, bytes.length - done, at + done)).bytesWritten;
}

const noFolder = (file: string): Error => new Error(`${file} is there, and no folder`);

/** Where it comes to; `real` is of that folder. */
interface Place {
  folder: string;
  real: RealFolders;
}

class CopyOut {
  readonly #files: GuestFiles;
  readonly #options: CopyOptions;
  readonly #folder: string;
  readonly #real: RealFolders;
  readonly #progress: CopyProgress;
  /** What may be written; a guest gives more of a file than it said as long as somebody takes it. */
  #room: number;
  readonly #underWay = new UnderWay();
  #knowsHoles: Promise<boolean> | null = null;
  /** Folders that were not here before: those that were keep mode, time and owner. */
  readonly #made = new Set<string>();

  private constructor(files: GuestFiles, options: CopyOptions, { folder, real }: Place, bytesInAll: number | null, room: number) {
    this.#files = files;
    this.#options = options;
    this.#folder = folder;
    this.#real = real;
    this.#room = room;
    this.#progress = { bytes: 0, bytesInAll, files: 0 };
  }

  static async open(files: GuestFiles, options: CopyOptions, place: Place, bytesInAll: number | null): Promise<CopyOut> {
    return new CopyOut(files, options, place, bytesInAll, await (options.roomOf ?? roomIn)(place.folder));
  }

  #told(bytes: number, files = 0): void {
    this.#progress.bytes += bytes;
    this.#progress.files += files;
    this.#options.onProgress?.(this.#progress);
  }

  #shown(at: string): string {
    return path.join(this.#folder, at);
  }

  readonly present: Present = async (at) => {
    const stats = await this.#real
      .reach(at)
      .then((file) => lstat(kernelPath(file)))
      .catch(absent);
    if (stats === null) return null;
    return stats.isDirectory() ? "folder" : stats.isSymbolicLink() ? "link" : "other";
  };

  /** With its mode, time and owner; closes it. */
  async #named(handle: FileHandle, file: string, part: string, { mode, mtime, uid, gid }: GuestEntry): Promise<void> {
    try {
      if (this.#options.owners) await handle.chown(uid, gid);
      await handle.chmod(mode & MODE_MAX);
      await handle.utimes(mtime, mtime);
    } catch (error) {
      await handle.close();
      throw error;
    }
    const written = await handle.stat();
    await handle.close();
    await giveNameTo(written, file, part);
  }

  async #owned(file: string, { uid, gid }: GuestEntry): Promise<void> {
    if (this.#options.owners) await lchown(kernelPath(file), uid, gid);
  }

  #take(at: string, bytes: number): void {
    if ((this.#room -= bytes) < 0)
      throw new GuestFileError(`there is no room here for all that the guest gives of ${path.basename(at)}: what came of it is kept`);
  }

  /** Into a name of its own, and when all of it is here into the file's. */
  #sink(source: string, at: string, part: string, entry: GuestEntry, offset: number): SparseSink {
    let handle: FileHandle | null = null;
    let size = offset;
    const hole = async (upTo: number): Promise<void> => {
      if (upTo === size) return;
      // the guest's word for one costs it nothing: no more is believed than it said before
      if (upTo < size || upTo > entry.size) throw new GuestFileError(`${source} changed while it was copied: copy it again`);
      handle ??= await openPart(this.#shown(at), await this.#real.reach(part), offset === 0);
      this.#told(upTo - size);
      size = upTo;
    };
    return {
      fill: (upTo) => hole(Math.min(upTo, Math.max(size, entry.size))),
      take: async (bytes, place) => {
        this.#take(at, bytes.length + (place > size ? BEHIND_HOLE_BYTES : 0));
        await hole(place);
        handle ??= await openPart(this.#shown(at), await this.#real.reach(part), offset === 0);
        await writeAll(handle, bytes, size);
        size += bytes.length;
        this.#told(bytes.length);
      },
      whole: async () => {
        handle ??= await openPart(this.#shown(at), await this.#real.reach(part), offset === 0);
        await handle.truncate(size); // what ends in a hole
        await this.#named(handle, await this.#real.reach(at), await this.#real.reach(part), entry);
        this.#told(0, 1);
      },
      end: async () => handle?.close(),
    };
  }

  /** In the folder that was reached. */
  async #written(bytes: Uint8Array, part: string, file: string, entry: GuestEntry): Promise<void> {
    const handle = await openPart(file, part, true);
    await handle.writeFile(bytes).catch(async (error: unknown) => {
      await handle.close();
      throw error;
    });
    await this.#named(handle, file, part, entry);
    this.#told(bytes.length, 1);
  }

  /** The next comes while it is written; where the guest gives more than it said, it is as any other. */
  async #small(source: string, at: string, part: string, entry: GuestEntry): Promise<void> {
    const sink = this.#sink(source, at, part, entry, 0);
    let held: Uint8Array | null = Buffer.alloc(0);
    let written: Promise<void> | null = null;
    await this.#files.get(source, 0, {
      take: async (bytes, place) => {
        if (held === null) return sink.take(bytes, place);
        const all: Uint8Array = held.length === 0 ? bytes : Buffer.concat([held, bytes]);
        held = all.length > COLLECTED_BYTES ? null : all;
        if (held === null) await sink.take(all, 0);
      },
      whole: async () => {
        if (held === null) return sink.whole();
        this.#take(at, held.length);
        written = this.#real.during(this.#written(held, await this.#real.reach(part), await this.#real.reach(at), entry));
      },
      end: () => sink.end(),
    });
    await written;
  }

  /** Both sides: where they take room here all of a file comes, and is counted. */
  async #haveHoles(): Promise<boolean> {
    return (await this.#files.can("runs")) && (this.#options.keepsHoles ?? keepsHoles)(this.#folder);
  }

  /** `refused`: told what the guest says of it in place of its bytes, which is no reason to end the copy; left out: it is. */
  async file(source: string, at: string, entry: GuestEntry, refused?: (why: string) => void): Promise<void> {
    const part = path.posix.join(path.posix.dirname(at), partName(this.#options.lease ?? "", source, at, entry));
    const add = (came: Promise<void>): Promise<void> =>
      this.#underWay.add(
        named(this.#shown(at), came).catch((error: unknown) => {
          if (!(error instanceof GuestRefusal && refused)) throw error;
          refused(visible(error.message));
        }),
      );
    if (entry.size <= COLLECTED_BYTES) return add(this.#small(source, at, part, entry));
    if (entry.size < RESUMED_FROM_BYTES) return add(this.#files.get(source, 0, this.#sink(source, at, part, entry, 0)));
    await this.#underWay.all(); // nobody else is in the folders meanwhile
    const here = await lstat(kernelPath(await this.#real.reach(part))).catch(absent);
    const offset = here?.isFile() && here.size <= entry.size ? here.size : 0;
    this.#told(offset);
    const sink = this.#sink(source, at, part, entry, offset);
    this.#knowsHoles ??= this.#haveHoles();
    await add((await this.#knowsHoles) ? this.#files.runs(source, offset, sink) : this.#files.get(source, offset, sink));
    await this.#underWay.all();
  }

  made(at: string): void {
    this.#made.add(at);
  }

  /** Almost with its own mode at once: a copy that goes on after a cut finds it here, and leaves it as it is. */
  async folder(at: string, mode: number): Promise<void> {
    const file = kernelPath(await this.#real.reach(at));
    await mkdir(file, { mode: (mode & MODE_MAX) | OWNERS_MODE }).then(
      () => this.made(at),
      async (error: NodeJS.ErrnoException) => {
        if (error.code !== "EEXIST") throw error;
        if (!(await lstat(file)).isDirectory()) throw noFolder(this.#shown(at));
      },
    );
  }

  /** Returns why it is left out; null: it is there. */
  async link({ path: at, target }: TreeLink, entry: GuestEntry): Promise<string | null> {
    const file = await this.#real.reach(at);
    const made = nameBeside(file);
    const makeLink = this.#options.makeLink ?? ((to: string, from: string) => symlink(kernelPath(to), kernelPath(from)));
    try {
      await makeLink(target, made);
    } catch (error) {
      const why = noLinksHere(error);
      if (why === null) throw error;
      return why;
    }
    await this.#owned(made, entry).catch(async (error: unknown) => {
      await rm(kernelPath(made), { force: true });
      throw error;
    });
    // in place of a file or a link, which stays where no link can be made
    await named(this.#shown(at), giveName(file, made));
    return null;
  }

  /** One more name of a file that has come; `beside`: where that is. False where it cannot be made. */
  async name(at: string, first: string, beside: RealFolders, { size }: GuestEntry): Promise<boolean> {
    await this.#underWay.all(); // nobody else is in the folders meanwhile
    const isNamed = await named(this.#shown(at), giveNameOf(await beside.reach(first), await this.#real.reach(at)));
    if (isNamed) this.#told(size, 1);
    return isNamed;
  }

  /** When all that it holds is there. */
  async finish(at: string, entry: GuestEntry): Promise<void> {
    if (!this.#made.has(at)) return;
    const file = await this.#real.reach(at);
    // there no open folder takes a time, and none has a mode
    if (WINDOWS) return utimes(file, entry.mtime, entry.mtime);
    const handle = await open(kernelPath(file), constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW);
    try {
      await handle.chmod(entry.mode & MODE_MAX);
      await handle.utimes(entry.mtime, entry.mtime);
    } finally {
      await handle.close();
    }
    await this.#owned(file, entry);
  }

  done(): Promise<void> {
    return this.#underWay.all();
  }
}

function reasonToLeaveOut(folder: string, { kind, path: at, isText }: GuestEntry, takesBytes: boolean): string | null {
  if (!isText && !takesBytes) return "its name, or what it leads to, is not UTF-8, and no name here";
  return kind === "other" ? "it is no file, folder or link" : pathProblem(folder, at);
}

async function copyFolder(files: GuestFiles, source: string, folder: string, top: GuestEntry, options: CopyOptions): Promise<string[]> {
  const leftOut: LeftOut[] = [];
  const entries = await listed(files, source, (at, why) => leftOut.push({ path: at, why }));
  const bytesGo = entries.every(({ isText }) => isText) || (await takesBytes(folder));
  const sound = entries.filter((entry) => {
    const why = reasonToLeaveOut(folder, entry, bytesGo);
    if (why !== null) leftOut.push({ path: entry.path, why });
    return why === null;
  });
  const of = (kind: GuestEntry["kind"]): GuestEntry[] => sound.filter((entry) => entry.kind === kind);
  const links = of("link").map((entry): [TreeLink, GuestEntry] => [{ path: entry.path, kind: "link", target: entry.target }, entry]);
  const [plain, kept] = [of("file"), of("folder")];
  const folders = foldersOf([
    ...kept.map(({ path: at }) => ({ path: at, kind: "directory" as const })),
    ...plain.map(({ path: at, size }) => ({ path: at, kind: "file" as const, digest: "", size })),
    ...links.map(([link]) => link),
  ]);
  const isThere = await isFolder(folder);
  if (!isThere) {
    await mkdir(kernelPath(folder), { recursive: true }).catch((error: NodeJS.ErrnoException) => {
      throw error.code === "EEXIST" ? noFolder(folder) : error;
    });
    await chmod(kernelPath(folder), (top.mode & MODE_MAX) | OWNERS_MODE);
  }
  const [real, beside] = [await RealFolders.open(folder), await RealFolders.open(folder)];
  try {
    const bytes = plain.reduce((all, { size }) => all + size, 0);
    const copy = await CopyOut.open(files, options, { folder, real }, bytes);
    if (!isThere) copy.made(".");
    const modes = new Map(kept.map((entry) => [entry.path, entry.mode]));
    for (const at of folders) await copy.folder(at, modes.get(at) ?? OWNERS_MODE);
    const refused = (at: string) => (why: string) => void leftOut.push({ path: at, why });
    const file = (entry: GuestEntry): Promise<void> =>
      copy.file(path.posix.join(source, entry.path), entry.path, entry, refused(entry.path));
    const { firsts, more } = firstsOf(plain);
    for (const entry of firsts) await file(entry);
    await copy.done();
    const missing = new Set(leftOut.map(({ path: at }) => at));
    for (const { entry, first } of more) if (missing.has(first) || !(await copy.name(entry.path, first, beside, entry))) await file(entry);
    await copy.done();
    const notMade = await refusedLinks(
      links.map(([link]) => link),
      folders,
      plain.map(({ path: at }) => at),
      copy.present,
    );
    for (const [link, entry] of links) {
      const why = notMade.get(link.path) ?? (await copy.link(link, entry));
      if (why !== null) leftOut.push({ path: link.path, why });
    }
    for (const entry of kept.toReversed()) await copy.finish(entry.path, entry);
    await copy.finish(".", top);
  } finally {
    await real.close();
    await beside.close();
  }
  return leftOut.map(({ path: at, why }) => `${visible(at)}: ${why}`);
}

/** Returns what was left out, in words. Throws GuestFileError with what the guest says; files that had come whole are here then. */
export async function copyOut(files: GuestFiles, source: string, target: string, options: CopyOptions): Promise<string[]> {
  const behind = await files.lookBehind(source);
  const here = behind?.kind === "folder" ? behind : await files.look(source);
  if (!here) throw new GuestFileError(`${source}: No such file or directory`);
  const entry = (here.kind === "link" && (await files.can("behind")) && (await files.look(source, "behind"))) || here;
  const own = path.posix.basename(path.posix.resolve("/", source));
  const copiesContent = /(^|\/)\.?$/.test(source);
  const there = await isFolder(target);
  if (entry.kind === "folder") return copyFolder(files, source, there && !copiesContent ? path.join(target, own) : target, entry, options);
  if (sentTarget(target).endsWith("/") && !there) throw new Error(`there is no folder ${target}`);
  const file = there ? path.join(target, own) : target;
  if (there && (await isFolder(file))) throw folderThere(file);
  const folder = path.dirname(path.resolve(file));
  const real = await RealFolders.open(folder);
  try {
    // of a link what a shell of an earlier server says: its file may be of any size
    const copy = await CopyOut.open(files, options, { folder, real }, entry.kind === "file" ? entry.size : null);
    const mode = entry.kind === "file" ? entry : { ...entry, size: 0, mode: 0o644 };
    await copy.file(source, path.basename(file), mode);
    await copy.done();
  } finally {
    await real.close();
  }
  return [];
}
