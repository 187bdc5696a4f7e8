/** What the owner has told this machine to do until told otherwise: kept in its folder, so that it outlives the daemon. */
import { readFile } from "node:fs/promises";
import path from "node:path";
import { jsonIn } from "@xenoservers/protocol";
import { z } from "zod";
import { writeSynced } from "../lease/write-synced.ts";

const zStanding = z.object({ draining: z.boolean() });
const fileIn = (folder: string): string => path.join(folder, "standing.json");

/** Whether it takes no new leases. A file that cannot be read stands for an owner who wanted something: it takes none. */
export async function isDrained(folder: string): Promise<boolean> {
  const text = await readFile(fileIn(folder), "utf8").catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return null;
    throw error;
  });
  if (text === null) return false;
  const standing = zStanding.safeParse(jsonIn(text));
  return !standing.success || standing.data.draining;
}

/** Returns when it is on disk. */
export const keepDrained = (folder: string, draining: boolean): Promise<void> => writeSynced(fileIn(folder), JSON.stringify({ draining }));
