/**
 * Whether what is to come back has a place on this machine: looked at before anything is asked for, ordered or paid, by the kernel's own
 * word, because rights, read-only file systems and files in the way show themselves in nothing else. Who controls the inputs: whoever runs
 * this (the path), this machine.
 */
import { lstat, mkdtemp, rmdir, stat, statfs } from "node:fs/promises";
import path from "node:path";
import { InputError } from "../errors.ts";
import { systemCode } from "@xenoservers/protocol/files";

/** With less free, not even a file with nothing in it comes to be on some file systems. */
const ROOM_BYTES_MIN = 1024 * 1024;

const WORDS: Readonly<Record<string, string>> = {
  EACCES: "it may not be written by this user",
  EPERM: "it may not be written by this user",
  EROFS: "its file system is read-only",
  ENOSPC: "there is no room on its disk",
  EDQUOT: "there is no room on its disk for this user",
  ELOOP: "it is a link that leads round in a circle",
  ENAMETOOLONG: "its name is longer than any may be",
};
const wordsFor = (error: unknown): string =>
  WORDS[systemCode(error)] ?? (systemCode(error) === "ENOENT" ? "nothing can be made there" : systemCode(error) || String(error));

/** Of a path, in words; null: nothing is wrong. */
type Problem = string | null;

/** The folder itself, or the first above it that is there. */
async function nearest(folder: string, paths: typeof path.posix): Promise<{ at: string; problem: Problem }> {
  for (let at = paths.resolve(folder); ; at = paths.dirname(at)) {
    const found = await stat(at).catch((error: NodeJS.ErrnoException) => error);
    if ("isDirectory" in found) return { at, problem: found.isDirectory() ? null : "it is no folder" };
    // what lies in the way of what is below it is met on the way up
    if (found.code !== "ENOENT" && found.code !== "ENOTDIR") return { at, problem: wordsFor(found) };
    if (await lstat(at).catch(() => null)) return { at, problem: "it is a link to nothing" };
    // a drive or a share of Windows
    if (paths.dirname(at) === at) return { at, problem: "it is not there" };
  }
}

/** Why nothing can be written to a folder, or the folder not be made; null: it can. Leaves nothing behind. */
export async function placeProblem(wanted: string, paths: typeof path.posix = path): Promise<Problem> {
  if (wanted === "" || wanted.includes("\0")) return "it is no name of a folder";
  const { at, problem } = await nearest(wanted, paths);
  if (problem !== null) return `${at}: ${problem}`;
  try {
    await rmdir(await mkdtemp(path.join(at, ".xeno-")));
  } catch (error) {
    return `${at}: ${wordsFor(error)}`;
  }
  const { bavail, bsize, blocks } = await statfs(at);
  // some file systems count no blocks
  return blocks > 0 && bavail * bsize < ROOM_BYTES_MIN ? `${at}: ${WORDS["ENOSPC"]}` : null;
}

/** Throws InputError where what comes back has no place there. */
export async function assertPlaceFor(wanted: string): Promise<void> {
  const problem = await placeProblem(wanted);
  if (problem !== null)
    throw new InputError(`what comes back cannot be written to ${wanted} (${problem}): nothing was asked for; take another folder`);
}
