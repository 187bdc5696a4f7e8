/** What takes a name on this machine, and how it is said why not. Who controls the inputs: this machine's file system. */
import { constants, link, lstat, open, rename, rm, type FileHandle } from "node:fs/promises";
import { ifThere, moveTo, nameBeside, systemCode } from "@xenoservers/protocol/files";
import { kernelPath } from "../kernel-path.ts";

/** How the system says that a folder is there. */
const IN_THE_WAY: readonly string[] = ["EISDIR", "ENOTEMPTY", "EEXIST"];

export const folderThere = (file: string, cause?: unknown): Error =>
  new Error(`${file} is a folder, which no file takes the place of`, { cause });

/** Names the file as whoever runs this does: it was reached by another path. */
export async function named<T>(file: string, work: Promise<T>): Promise<T> {
  return work.catch((error: unknown) => {
    if (!(error instanceof Error && "syscall" in error && "code" in error)) throw error;
    if (error.syscall === "rename" && IN_THE_WAY.includes(String(error.code))) throw folderThere(file, error);
    throw new Error(`${file}: ${error.message.split(", ")[0]}`, { cause: error });
  });
}

const move = (file: string, part: string): Promise<void> =>
  moveTo(file, part, { move: (from, to) => rename(kernelPath(from), kernelPath(to)) });

/** In place of what is there; where it cannot be, nothing of it stays. */
export async function giveName(file: string, part: string): Promise<void> {
  await move(file, part).catch(async (error: unknown) => {
    await rm(kernelPath(part), { force: true });
    throw error;
  });
}

/** One more name of the file `first`, in place of what is there. False where it cannot be made: the file system has none, or no more. */
export async function giveNameOf(first: string, file: string): Promise<boolean> {
  const made = nameBeside(file);
  const isMade = await link(kernelPath(first), kernelPath(made)).then(
    () => true,
    () => false,
  );
  if (!isMade) return false;
  await giveName(file, made);
  // of two names of one file, as this file system takes names, none is moved to the other
  await rm(kernelPath(made), { force: true });
  return true;
}

/**
 * A file of a folder by what its system calls it, whatever its name is. Of its disk Node on Windows says one thing by name, another opened;
 * and FAT numbers files by their names: one of that name which has all of the bytes is as good, for they come in their order.
 */
interface WhichFile {
  ino: number;
  size: number;
}

const begunAgain = (file: string, cause?: unknown): Error => new Error(`${file}: another copy of it has begun`, { cause });

/** What others have open in its place or put there meanwhile is left to them. `isNew`: it begins anew. */
export async function openPart(file: string, part: string, isNew: boolean): Promise<FileHandle> {
  const flags = constants.O_WRONLY | (constants.O_NOFOLLOW ?? 0);
  if (isNew) await rm(kernelPath(part), { force: true });
  return open(kernelPath(part), isNew ? flags | constants.O_CREAT | constants.O_EXCL : flags, 0o600).catch((error: unknown) => {
    throw systemCode(error) === (isNew ? "EEXIST" : "ENOENT") ? begunAgain(file, error) : error;
  });
}

/** In place of what is there, what was written itself: who copies to the same name meanwhile may have put a part of its own there. */
export async function giveNameTo(written: WhichFile, file: string, part: string): Promise<void> {
  const isIt = async (at: string): Promise<boolean> => {
    const found = await ifThere(lstat(kernelPath(at)));
    return found?.ino === written.ino || found?.size === written.size;
  };
  if (!(await isIt(part))) throw begunAgain(file);
  // under a name that nobody else has it can be looked at and named without another coming between
  const own = nameBeside(part);
  await move(own, part).catch((error: unknown) => {
    throw systemCode(error) === "ENOENT" ? begunAgain(file, error) : error;
  });
  if (await isIt(own)) return giveName(file, own);
  await move(part, own);
  throw begunAgain(file);
}
