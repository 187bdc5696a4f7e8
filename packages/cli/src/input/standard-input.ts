/** What is piped into `xeno run` is its job's standard input. Who controls it: whoever started this program. */
import { fstatSync } from "node:fs";
import type { Readable } from "node:stream";
import { say } from "../output/terminal.ts";
import { UserError } from "../output/ui.ts";

/** A pipe or a file, as shells set them; a socket or a terminal is what the caller has itself. */
export function isPiped(): boolean {
  try {
    const stat = fstatSync(0);
    return stat.isFIFO() || stat.isFile();
  } catch {
    return false; // closed
  }
}

/** To read it all. Throws UserError where it is a folder, which Node takes for an input that is empty. */
export function ownInput(): Readable {
  let isFolder = false;
  try {
    isFolder = fstatSync(0).isDirectory();
  } catch {
    // closed: empty
  }
  if (isFolder) throw new UserError("standard input is a folder, which nothing can be read from: name a file (< FILE), or say --no-stdin");
  return process.stdin;
}

/** So long nothing is said of waiting for the other end of a pipe. */
const SILENCE_MS = 2_000;

/** Read to its end: `always`, whatever it is; `never`, or where nothing is piped, empty. */
export async function standardInput({ always, never }: { always: boolean; never: boolean }): Promise<Uint8Array> {
  if (never || !(always || isPiped())) return new Uint8Array();
  const waiting = setTimeout(() => say("stdin    read to its end before the job starts (--no-stdin: none)"), SILENCE_MS);
  try {
    const parts: Buffer[] = [];
    for await (const part of ownInput()) parts.push(Buffer.from(part as Uint8Array));
    return Buffer.concat(parts);
  } finally {
    clearTimeout(waiting);
  }
}
