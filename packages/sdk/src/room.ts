/**
 * How much of what strangers send may be written into a folder: this machine goes on, it is never filled. Who controls the inputs: whoever
 * sends, how much comes.
 */
import { statfs } from "node:fs/promises";
import { kernelPath } from "./kernel-path.ts";

const LEFT_FREE_BYTES = 512 * 1024 * 1024;
/** So little is written whatever is free: it fills nothing that was not nearly full. */
const ALWAYS_BYTES = 64 * 1024 * 1024;

export async function roomIn(folder: string): Promise<number> {
  const { bavail, bsize } = await statfs(kernelPath(folder));
  return Math.max(ALWAYS_BYTES, bavail * bsize - LEFT_FREE_BYTES);
}
