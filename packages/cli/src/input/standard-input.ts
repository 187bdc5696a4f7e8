/** What is piped into `xeno run` is its job's standard input. Who controls it: whoever started this program. */
import { fstatSync } from "node:fs";
import { say } from "../output/terminal.ts";

/** A pipe or a file, as shells set them; a socket or a terminal is what the caller has itself. */
export function isPiped(): boolean {
  try {
    const stat = fstatSync(0);
    return stat.isFIFO() || stat.isFile();
  } catch {
    return false; // closed
  }
}

/** So long nothing is said of waiting for the other end of a pipe. */
const SILENCE_MS = 2_000;

/** Read to its end: `always`, whatever it is; `never`, or where nothing is piped, empty. */
export async function standardInput({ always, never }: { always: boolean; never: boolean }): Promise<Uint8Array> {
  if (never || !(always || isPiped())) return new Uint8Array();
  const waiting = setTimeout(() => say("stdin    read to its end before the job starts (--no-stdin: none)"), SILENCE_MS);
  try {
    const parts: Buffer[] = [];
    for await (const part of process.stdin) parts.push(Buffer.from(part as Uint8Array));
    return Buffer.concat(parts);
  } finally {
    clearTimeout(waiting);
  }
}
