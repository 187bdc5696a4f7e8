/** What takes a name on this machine, and how it is said why not. Who controls the inputs: this machine's file system. */
import { rename, rm } from "node:fs/promises";
import { moveTo } from "@xenoservers/protocol/files";
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

/** In place of what is there; where it cannot be, nothing of it stays. */
export async function giveName(file: string, part: string): Promise<void> {
  await moveTo(file, part, { move: (from, to) => rename(kernelPath(from), kernelPath(to)) }).catch(async (error: unknown) => {
    await rm(kernelPath(part), { force: true });
    throw error;
  });
}
