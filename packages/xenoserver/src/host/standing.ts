/** What the owner has told this machine to do until told otherwise: kept in its folder, so that it outlives the daemon. */
import path from "node:path";
import { jsonIn } from "@xenoservers/protocol";
import { readIfThere, writeWhole } from "@xenoservers/protocol/files";
import { z } from "zod";

const zStanding = z.object({ draining: z.boolean() });
const fileIn = (folder: string): string => path.join(folder, "standing.json");

/** Whether it takes no new leases. A file that cannot be read stands for an owner who wanted something: it takes none. */
export async function isDrained(folder: string): Promise<boolean> {
  const text = await readIfThere(fileIn(folder));
  if (text === null) return false;
  const standing = zStanding.safeParse(jsonIn(text));
  return !standing.success || standing.data.draining;
}

/** Returns when it is on disk. */
export const keepDrained = (folder: string, draining: boolean): Promise<void> => writeWhole(fileIn(folder), JSON.stringify({ draining }));
