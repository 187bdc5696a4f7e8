/**
 * Writes a tree that came back below a folder of this machine: only what is new there, through real folders alone, each file whole or not
 * at all. Who controls the inputs: a stranger's job and its server (tree and bytes); whoever runs this (the folder).
 */
import { createHash } from "node:crypto";
import { createReadStream, type Stats } from "node:fs";
import { constants, link as linkTo, lstat, mkdir, open, readlink, rename, rm, rmdir, symlink } from "node:fs/promises";
import { visible } from "@xenoservers/protocol";
import type { InputEntry } from "@xenoservers/protocol/channel";
import { nameBeside, systemCode } from "@xenoservers/protocol/files";
import { RealFolders } from "./real-folders.ts";
import { roomIn } from "./room.ts";
import { NotDelivered } from "./session/fetches.ts";
import {
  SAME_HERE,
  foldersOf,
  noLinksHere,
  pathProblem,
  refusedLinks,
  sentTarget,
  twinsOf,
  type LeftOut,
  type Present,
  type TreeLink,
} from "./tree-plan.ts";
import type { SourceEntry } from "./blob.ts";

type TreeFile = Extract<InputEntry, { kind: "file" }>;

interface WriteTreeOptions {
  /** Reads a file's bytes, digest checked. */
  fetch(entry: TreeFile): Promise<Uint8Array>;
  /** What was sent: what still is so here gives way to what came back, or to its being gone. */
  before?: readonly SourceEntry[];
  /** How much may be written into a folder; for tests of what is short. */
  room?: typeof roomIn;
  /** For tests of file systems that have no links. */
  makeLink?: (target: string, file: string) => Promise<void>;
}

const NAMED_MAX = 3;
const SHOWN_CHARS = 60;
const shown = (at: string): string => visible(at.length > SHOWN_CHARS ? `${at.slice(0, SHOWN_CHARS)}...` : at);

/** Nothing there; throws what is wrong otherwise. */
function absent(error: unknown): null {
  if (systemCode(error) === "ENOENT") return null;
  throw error;
}

async function digestOf(file: string): Promise<string> {
  const hash = createHash("sha256");
  // what is no plain file any more by now neither blocks nor leads elsewhere
  const flags = constants.O_RDONLY | (constants.O_NOFOLLOW ?? 0) | (constants.O_NONBLOCK ?? 0);
  const handle = await open(file, flags);
  for await (const chunk of createReadStream(file, { fd: handle })) hash.update(chunk);
  return hash.digest("hex");
}

type Known = { kind: "directory" } | { kind: "link"; target: string } | { kind: "file"; digest: string; size: number };
const knownOf = (entry: SourceEntry): Known => (entry.kind === "file" ? { kind: "file", ...entry.blob } : entry);

async function isStill(file: string, present: Stats, known: Known): Promise<boolean> {
  switch (known.kind) {
    case "directory":
      return present.isDirectory();
    case "link":
      return present.isSymbolicLink() && sentTarget(await readlink(file)) === known.target;
    case "file":
      return present.isFile() && present.size === known.size && (await digestOf(file)) === known.digest;
  }
}

/** Whether it came back as it was sent. */
const isUnchanged = (came: Known, sent: Known): boolean =>
  (came.kind === "file" && sent.kind === "file" && came.digest === sent.digest) ||
  (came.kind === "link" && sent.kind === "link" && came.target === sent.target);

/** `new`: nothing is there; `sent`: what was sent still is; `done`: it is there, or came as it was sent; `taken`: something else is. */
type State = "new" | "sent" | "done" | "taken";

class Writer {
  readonly #folder: string;
  readonly #real: RealFolders;
  readonly #before: ReadonlyMap<string, SourceEntry>;
  /** Paths that came or were sent, and may be one here. */
  readonly #twins: ReturnType<typeof twinsOf>;
  readonly #symlink: (target: string, file: string) => Promise<void>;

  constructor(
    folder: string,
    real: RealFolders,
    came: readonly InputEntry[],
    { before = [], makeLink = symlink }: Omit<WriteTreeOptions, "fetch">,
  ) {
    this.#folder = folder;
    this.#twins = twinsOf([...came, ...before]);
    this.#symlink = makeLink;
    this.#real = real;
    this.#before = new Map(before.map((entry) => [entry.path, entry]));
  }

  async #lookAt(at: string): Promise<Stats | null> {
    return this.#real
      .reach(at)
      .then((file) => lstat(file))
      .catch(absent);
  }

  readonly present: Present = async (at) => {
    // what is no folder leads somewhere, or nowhere: as a link
    const stats = await this.#lookAt(at).catch(() => "link" as const);
    if (stats === null || stats === "link") return stats;
    return stats.isDirectory() ? "folder" : stats.isSymbolicLink() ? "link" : "other";
  };

  async state(at: string, known: Known): Promise<State> {
    const present = await this.#lookAt(at);
    if (!present) return "new";
    const file = await this.#real.reach(at);
    if (await isStill(file, present, known)) return "done";
    const sent = known.kind === "directory" ? undefined : this.#before.get(at);
    if (!sent || sent.kind === "directory") return "taken";
    // what the job left as it was is nothing to bring: its file may be where this command's own output goes
    if (isUnchanged(known, knownOf(sent))) return "done";
    return (await isStill(file, present, knownOf(sent))) ? "sent" : "taken";
  }

  /** Whether what lies here by this name is what lies here by the name of another that came or was sent. */
  async isTwin(at: string, isMeant: (other: string) => boolean = () => true): Promise<boolean> {
    const others = this.#twins(at).filter(isMeant);
    const found = others.length === 0 ? null : await this.#lookAt(at).catch(() => null);
    for (const other of found ? others : []) {
      const there = await this.#lookAt(other).catch(() => null);
      if (there && found?.dev === there.dev && found.ino === there.ino) return true;
    }
    return false;
  }

  async folder(at: string): Promise<void> {
    await mkdir(await this.#real.reach(at));
  }

  /** Returns why it is left out; null: it is there. What is here as it was sent stays where its successor cannot be made. */
  async link({ path: at, target }: TreeLink, state: State): Promise<string | null> {
    const file = await this.#real.reach(at);
    const made = nameBeside(file);
    try {
      await this.#symlink(target, state === "sent" ? made : file);
    } catch (error) {
      const why = noLinksHere(error);
      if (why === null) throw error;
      return why;
    }
    if (state === "sent")
      await rename(made, file).catch(async (error: unknown) => {
        await rm(made, { force: true });
        throw error;
      });
    return null;
  }

  /** The bytes are whole under a name of their own before they get theirs. */
  async file(at: string, bytes: Uint8Array, state: State): Promise<void> {
    const target = await this.#real.reach(at);
    const part = nameBeside(target);
    try {
      const handle = await open(part, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | (constants.O_NOFOLLOW ?? 0), 0o666);
      await handle.writeFile(bytes).finally(() => handle.close());
      if (state === "sent") await rename(part, target);
      else await named(part, target);
    } finally {
      await rm(part, { force: true });
    }
  }

  /** What was sent, did not come back, and is here as it was sent. */
  async removeGone(came: ReadonlySet<string>): Promise<void> {
    const gone = [...this.#before.values()].filter((entry) => !came.has(entry.path));
    for (const entry of gone.sort((a, b) => (a.path < b.path ? 1 : -1))) {
      const present = await this.#lookAt(entry.path).catch(() => null);
      if (!present) continue;
      const target = await this.#real.reach(entry.path);
      if (!(await isStill(target, present, knownOf(entry)))) continue;
      if (await this.isTwin(entry.path, (other) => came.has(other))) continue;
      if (entry.kind === "directory") await rmdir(target).catch(() => {});
      else await rm(target, { force: true });
    }
  }

  noFolder(at: string): Error {
    return new Error(`the result wants to write through ${this.#folder}/${shown(at)}, which is no folder`);
  }
}

function inTheWay(folder: string, taken: readonly string[]): Error {
  const more = taken.length > NAMED_MAX ? ` and ${taken.length - NAMED_MAX} more` : "";
  const names = `${taken.slice(0, NAMED_MAX).map(shown).join(", ")}${more}`;
  return new Error(`${folder} holds something else by the name of ${names} already: nothing was written; take another folder`);
}

/** Not every file system has a name that is given only where it is free; exFAT says so by EISDIR on Windows. */
const NO_LINKS: readonly string[] = ["EPERM", "ENOTSUP", "EOPNOTSUPP", "ENOSYS", "EISDIR"];
async function named(part: string, target: string): Promise<void> {
  try {
    await linkTo(part, target);
  } catch (error) {
    if (!NO_LINKS.includes(systemCode(error))) throw error;
    if (await lstat(target).catch(absent)) throw new Error(`${target} came to be meanwhile`, { cause: error });
    await rename(part, target);
  }
}

interface Planned {
  /** Folders that are missing here, parents first. */
  folders: string[];
  /** Files and links that are not here yet, or as they were sent. */
  files: [TreeFile, State][];
  links: [TreeLink, State][];
  leftOut: LeftOut[];
  /** Paths where something else lies. */
  taken: string[];
}

/** Looks at everything before anything is written. Throws where the tree makes no sense, or leads through what is no folder here. */
async function plan(folder: string, entries: readonly InputEntry[], writer: Writer): Promise<Planned> {
  const problems = entries.flatMap(({ path: at }): LeftOut[] => {
    const why = pathProblem(folder, at);
    return why === null ? [] : [{ path: at, why }];
  });
  const unsound = new Set(problems.map(({ path: at }) => at));
  const sound = entries.filter(({ path: at }) => !unsound.has(at));
  const folders = foldersOf(sound);
  const planned: Planned = { folders: [], files: [], links: [], leftOut: problems, taken: [] };
  for (const at of folders) {
    const state = await writer.state(at, { kind: "directory" });
    if (state === "new") planned.folders.push(at);
    else if (state !== "done") throw writer.noFolder(at);
  }
  const files: string[] = [];
  const links: [TreeLink, State][] = [];
  const came: [TreeFile | TreeLink, State][] = [];
  for (const entry of sound) if (entry.kind !== "directory") came.push([entry, await writer.state(entry.path, entry)]);
  const nobodys = new Set(came.flatMap(([{ path: at }, state]) => (state === "taken" ? [at] : [])));
  for (const [entry, state] of came) {
    // what is here by both names, and is neither of the two, stands in the way of both
    const isSame = state === "taken" && (await writer.isTwin(entry.path, (other) => !nobodys.has(other)));
    if (isSame) planned.leftOut.push({ path: entry.path, why: SAME_HERE });
    else if (state === "taken") planned.taken.push(entry.path);
    else if (entry.kind === "link") links.push([entry, state]);
    else {
      files.push(entry.path);
      if (state !== "done") planned.files.push([entry, state]);
    }
  }
  const refused = await refusedLinks(
    links.map(([link]) => link),
    folders,
    files,
    writer.present,
  );
  for (const [link, state] of links) {
    const why = refused.get(link.path);
    if (state === "done") continue;
    if (why === undefined) planned.links.push([link, state]);
    else planned.leftOut.push({ path: link.path, why });
  }
  return planned;
}

const MIB = 1024 * 1024;

/** Throws, before anything is written, where it is more than may be written here: this machine is not filled, and the lease keeps it. */
async function assertRoom(folder: string, { files }: Planned, room: typeof roomIn): Promise<void> {
  const bytes = files.reduce((sum, [{ size }]) => sum + size, 0);
  const free = await room(folder);
  if (bytes <= free) return;
  throw new Error(
    `${Math.ceil(bytes / MIB)} MiB came back, and ${folder} has room for ${Math.floor(free / MIB)} MiB: nothing was written there. ` +
      "The result stays where it lies: make room, or name another folder, and fetch it (xeno lease result LEASE --out FOLDER)",
  );
}

/** Writes what is planned; says of an error how much is there. */
async function carryOut(
  folder: string,
  { folders, files, links }: Planned,
  writer: Writer,
  fetch: WriteTreeOptions["fetch"],
): Promise<LeftOut[]> {
  const leftOut: LeftOut[] = [];
  let done = 0;
  try {
    // what another that came has made here by the same name, as this file system takes names
    const unlessTwin = (at: string) => async (error: unknown) => {
      if (systemCode(error) !== "EEXIST" || !(await writer.isTwin(at))) throw error;
      return false;
    };
    for (const at of folders) await writer.folder(at).catch(unlessTwin(at));
    for (const [entry, state] of files) {
      const bytes = await fetch(entry);
      const isWritten = await writer.file(entry.path, bytes, state).then(() => true, unlessTwin(entry.path));
      if (isWritten) done++;
      else leftOut.push({ path: entry.path, why: SAME_HERE });
    }
    for (const [link, state] of links) {
      const why = await writer.link(link, state);
      if (why === null) done++;
      else leftOut.push({ path: link.path, why });
    }
    return leftOut;
  } catch (error) {
    const why = (error instanceof Error ? error.message : String(error)).replaceAll(/\/proc\/self\/fd\/\d+/g, folder);
    const told = `${why}; ${done} of ${files.length + links.length} files and links of it are in ${folder}`;
    throw error instanceof NotDelivered ? new NotDelivered(told, { cause: error }) : new Error(told, { cause: error });
  }
}

/**
 * Writes a tree below a folder; returns what was left out, in words. Throws before anything is written where the tree leads through what
 * is no folder, or, unless it is to go where it came from, where something else lies at one of its paths.
 */
export async function writeTree(
  folder: string,
  entries: readonly InputEntry[],
  { fetch, room = roomIn, ...options }: WriteTreeOptions,
): Promise<string[]> {
  await mkdir(folder, { recursive: true });
  const real = await RealFolders.open(folder);
  try {
    const { before } = options;
    const writer = new Writer(folder, real, entries, options);
    const planned = await plan(folder, entries, writer);
    if (before === undefined && planned.taken.length > 0) throw inTheWay(folder, planned.taken);
    await assertRoom(folder, planned, room);
    const unwritten = await carryOut(folder, planned, writer, fetch);
    if (before !== undefined) await writer.removeGone(new Set(entries.map(({ path: at }) => at)));
    const taken = planned.taken.map((at): LeftOut => ({ path: at, why: "something else is here by now, and was left alone" }));
    return [...planned.leftOut, ...unwritten, ...taken].map(({ path: at, why }) => `${shown(at)}: ${why}`);
  } finally {
    await real.close();
  }
}
