/**
 * A module that has run on this machine before: neither read, hashed, checked nor made ready again, but taken as the engine made it then.
 * Who controls the inputs: whoever types, and owns the folder.
 */
import path from "node:path";
import { KnownDigests, keptModule } from "@xenoservers/guests";
import { home } from "@xenoservers/sdk";

/** Whose jobs here are: no customer of a market is called so. */
export const LOCAL = "local";
/** What was made ready here. */
export const PREPARED = path.join(home.data, "prepared");
export const modulesIn = (cache: string): string => path.join(cache, "modules");

export const digests = new KnownDigests(path.join(PREPARED, "digests.json"));
const keptOf = (digest: string): Promise<string | null> => keptModule(modulesIn(PREPARED), { customer: LOCAL, digest });

/** The engine took it: what it refuses is not kept. */
export const hasTaken = async (digest: string): Promise<boolean> => (await keptOf(digest)) !== null;

/** As the engine made it, by the file that was typed; null where that is not known. */
export async function knownModule(file: string): Promise<string | null> {
  const known = await digests.find(file).catch(() => null); // whoever reads it says what is wrong
  return known && keptOf(known.digest);
}
