/** What unpacks on this machine: Node, or programs that are installed. Who controls the inputs: whoever made the file. */
import { spawn } from "node:child_process";
import { constants } from "node:fs";
import { access } from "node:fs/promises";
import path from "node:path";
import type { Duplex } from "node:stream";
import { PROGRAMS, isByProgram, throughProgram, unpackers, type Packing } from "@xenoservers/protocol/unpack";

async function isInstalled(program: string): Promise<boolean> {
  for (const folder of (process.env["PATH"] ?? "").split(path.delimiter)) {
    if (!path.isAbsolute(folder)) continue; // what lies where one happens to stand is not installed
    const isThere = await access(path.join(folder, program), constants.X_OK).then(
      () => true,
      () => false,
    );
    if (isThere) return true;
  }
  return false;
}

/** Streams through which the bytes go, one after the other; null where nothing on this machine unpacks it. */
export async function unpackersHere(packing: Packing): Promise<Duplex[] | null> {
  if (!isByProgram(packing)) return unpackers(packing);
  const [program, ...args] = PROGRAMS[packing];
  if (!(await isInstalled(program))) return null;
  return [throughProgram(packing, () => spawn(program, args, { stdio: ["pipe", "pipe", "pipe"] }))];
}
