/**
 * Words of a program that name files of this machine, where it brings none of them: such a job ends with "No such file", and is paid.
 * Who controls the inputs: whoever runs this.
 */
import { stat } from "node:fs/promises";
import path from "node:path";
import { shellWord } from "./shell-word.ts";

/** Many more are a list that the program has its own use for. */
const LOOKED_AT_MAX = 64;

/** In a line, which of these words is a file or folder here, and what brings it in; null: none is. Paths that lead elsewhere are not. */
export async function unseenAmong(args: readonly string[]): Promise<string | null> {
  for (const word of args.slice(0, LOOKED_AT_MAX)) {
    if (word === "" || word.startsWith("-") || path.isAbsolute(word) || word.includes("\0")) continue;
    if (path.normalize(word).startsWith("..")) continue;
    if (!(await stat(word).catch(() => null))) continue;
    return `files    ${shellWord(word)} is there on this machine, and not for the job: --dir . brings this folder in`;
  }
  return null;
}
