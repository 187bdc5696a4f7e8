/**
 * Files of this program's own: what cannot be read is not taken for what is not there, and what cannot be written whole is not there. A
 * disk that is full, a file of another user or too many open files look like neither a new beginning nor an end.
 */
import { randomBytes } from "node:crypto";
import { link, mkdir, open, readFile, readdir, rename, rm, stat, type FileHandle } from "node:fs/promises";
import path from "node:path";
import { setTimeout as after } from "node:timers/promises";

/**
 * What the system calls an error; "": it is none of the system's. By its property alone: to a program in a world of its own (Jest, node:vm)
 * such an error is no Error.
 */
export const systemCode = (error: unknown): string =>
  typeof error === "object" && error !== null && "code" in error ? String(error.code) : "";

const isAbsent = (error: unknown): boolean => ["ENOENT", "ENOTDIR"].includes(systemCode(error));

function orAbsent<T>(absent: T): (error: unknown) => T {
  return (error) => {
    if (isAbsent(error)) return absent;
    throw error;
  };
}

/** Null where what it looks for is not there; throws where it is and cannot be read. */
export const ifThere = <T>(found: Promise<T>): Promise<T | null> => found.catch(orAbsent(null));

/** Null where there is no such file; throws where there is one that cannot be read. */
export const readIfThere = (file: string): Promise<string | null> => ifThere(readFile(file, "utf8"));

/** Nothing where there is no such folder; throws where there is one that cannot be read. */
export const namesIn = (folder: string): Promise<string[]> => readdir(folder).catch(orAbsent([]));

/** A name in the folder of a file for what is written before it takes that file's: nobody else's, whoever writes there meanwhile. */
export const nameBeside = (file: string): string => path.join(path.dirname(file), `.xeno-${randomBytes(8).toString("hex")}.part`);

/** Whether a file's name is one of those. */
export const isBeside = (name: string): boolean => /^\.xeno-[0-9a-f]{16}\.part$/.test(name);

/**
 * A folder, and those above it, for its user alone; nothing where it is there. Throws what the system says of the first that it refuses:
 * Node's own way says of a file system that is read-only that the folder were not there, and below /proc never ends.
 */
export async function makeFolder(folder: string): Promise<void> {
  const make = (): Promise<void> =>
    mkdir(folder, { mode: 0o700 }).catch(async (error: unknown) => {
      if (!(await stat(folder).catch(() => null))?.isDirectory()) throw error;
    });
  await make().catch(async (error: unknown) => {
    if (!isAbsent(error) || path.dirname(folder) === folder) throw error;
    await makeFolder(path.dirname(folder));
    await make();
  });
}

/** Of a write that failed: the system says of which file only where it opened it by name. */
export function inPlace(error: unknown, file: string): unknown {
  if (systemCode(error) === "") return error;
  const of = error as NodeJS.ErrnoException;
  if (of.path === undefined) Object.assign(of, { path: file, message: `${of.message} '${file}'` });
  return error;
}

/** Its folder is nearly always there: it is made only where it is not. */
async function opened(part: string): Promise<FileHandle> {
  const handle = await ifThere(open(part, "wx", 0o600));
  if (handle !== null) return handle;
  await makeFolder(path.dirname(part));
  return open(part, "wx", 0o600);
}

/** Written elsewhere, and synced; nothing of it stays where that fails. */
async function written(file: string, text: string): Promise<string> {
  const part = nameBeside(file);
  try {
    const handle = await opened(part);
    await handle
      .writeFile(text)
      .then(() => handle.datasync())
      .finally(() => handle.close());
  } catch (error) {
    await rm(part, { force: true });
    throw inPlace(error, file);
  }
  return part;
}

/** How Windows refuses a name while another program has the file of that name open: a scanner, an indexer, another of these. */
const HELD: readonly string[] = ["EPERM", "EACCES", "EBUSY"];
/** Between tries, in milliseconds: such programs let go within one of these, or hold it for longer than anybody waits. */
const AGAIN_AFTER_MS = [10, 20, 50, 100, 200, 500, 1_000];

interface Move {
  windows?: boolean;
  move?: (from: string, to: string) => Promise<void>;
  waits?: readonly number[];
}

/**
 * Gives a file its name, in place of what has it; where Windows says that somebody has that open, several times. Throws what it says last.
 */
export async function moveTo(
  file: string,
  part: string,
  { windows = path.sep === "\\", move = rename, waits = AGAIN_AFTER_MS }: Move = {},
): Promise<void> {
  for (const ms of windows ? waits : []) {
    try {
      return await move(part, file);
    } catch (error) {
      if (!HELD.includes(systemCode(error))) throw error;
      await after(ms);
    }
  }
  await move(part, file);
}

/** Replaces a file at once, for its user alone: whatever happens, the old one is there or the new one. */
export async function writeWhole(file: string, text: string): Promise<void> {
  const part = await written(file, text);
  await moveTo(file, part).catch(async (error: unknown) => {
    await rm(part, { force: true });
    throw error;
  });
}

/** What says that a file system has no second names: FAT, exFAT (EISDIR on Windows), shares of some servers, Android's. */
const NO_LINKS: readonly string[] = ["EPERM", "EACCES", "ENOTSUP", "EOPNOTSUPP", "ENOSYS", "EISDIR"];

/** Nothing of it stays where that fails. */
async function putNew(file: string, text: string): Promise<void> {
  const handle = await open(file, "wx", 0o600);
  try {
    await handle.writeFile(text).then(() => handle.datasync());
  } catch (error) {
    await rm(file, { force: true });
    throw error;
  } finally {
    await handle.close();
  }
}

/** The same of a file that nobody has yet: throws EEXIST where there is one. Where a file has one name only, not whole at once. */
export async function writeNew(file: string, text: string, linkTo = link): Promise<void> {
  const part = await written(file, text);
  try {
    await linkTo(part, file);
  } catch (error) {
    if (!NO_LINKS.includes(systemCode(error))) throw error;
    await putNew(file, text);
  } finally {
    await rm(part, { force: true });
  }
}
