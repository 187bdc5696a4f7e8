/** What a hole in a file takes of this machine's disk. Who controls the inputs: this machine's file system. */
import { open, rm } from "node:fs/promises";
import path from "node:path";
import { nameBeside } from "@xenoservers/protocol/files";
import { kernelPath } from "../kernel-path.ts";

const PROBE_BYTES = 1024 * 1024;
/** Of `blocks` in what is known of a file, on every system. */
export const BLOCK_BYTES = 512;
/** What bytes behind a hole take at most beyond themselves: the disk gives them whole blocks, at both of their ends. */
export const BEHIND_HOLE_BYTES = 8 * 1024;

/** Whether a hole takes nothing in that folder: FAT, exFAT and Windows give it its room when it is made. */
export async function keepsHoles(folder: string): Promise<boolean> {
  const file = kernelPath(nameBeside(path.join(folder, "hole")));
  const handle = await open(file, "wx", 0o600);
  try {
    await handle.truncate(PROBE_BYTES);
    const { blocks } = await handle.stat();
    return blocks * BLOCK_BYTES < PROBE_BYTES;
  } finally {
    await handle.close();
    await rm(file, { force: true });
  }
}
