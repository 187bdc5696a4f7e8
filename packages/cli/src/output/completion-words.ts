/**
 * What a shell completes besides verbs and options: contexts, and leases that run as far as this machine knows, in files that the shell
 * reads by itself, since starting a program for each key would be felt. Several commands note at once, and none waits for another: contexts
 * are a line each in a file that is written until it is what is kept, leases a file each in a folder. Invariant: a line, or a name, holds
 * letters, digits and a few signs that no shell gives a meaning. Who controls the inputs: the broker (ids of leases, names of markets),
 * whoever names a context.
 */
import { rm, stat, writeFile } from "node:fs/promises";
import path from "node:path";
import { makeFolder, namesIn, writeWhole } from "@xenoservers/protocol/files";

export const COMPLETION_FOLDER = "completion";
export type WordList = "contexts" | "leases";

const HARMLESS = /^[\w.:@-]{1,80}$/;
const LEASE = /^[0-9a-f]{4,64}$/;
const WORDS_MAX = 200;
const ID_LETTERS = 12;

const placeOf = (data: string, list: WordList): string => path.join(data, COMPLETION_FOLDER, list);
const linesOf = (words: readonly string[]): string =>
  [...new Set(words)]
    .filter((word) => HARMLESS.test(word))
    .slice(0, WORDS_MAX)
    .map((word) => `${word}\n`)
    .join("");

/**
 * `read`: the names that are kept now. A full disk or a folder of somebody else's is no reason to fail: then the shell offers less,
 * here and below.
 */
export async function noteContexts(data: string, read: () => Promise<readonly string[]>): Promise<void> {
  let text = linesOf(await read());
  try {
    // of two who write, the later may have read before the other kept its own
    for (let written = null; written !== text; text = linesOf(await read())) {
      await writeWhole(placeOf(data, "contexts"), text);
      written = text;
    }
  } catch {
    return;
  }
}

/** As a shell offers them. */
export const notedLeases = (data: string): Promise<string[]> => namesIn(placeOf(data, "leases")).catch(() => []);

const put = async (folder: string, names: readonly string[]): Promise<void> => {
  await makeFolder(folder);
  for (const name of names) await writeFile(path.join(folder, name), "");
};
const take = async (folder: string, names: readonly string[]): Promise<void> => {
  for (const name of names) await rm(path.join(folder, name), { force: true });
};

/** No more than are of use to anybody: the oldest go. */
async function bound(folder: string): Promise<void> {
  const names = await namesIn(folder);
  if (names.length <= WORDS_MAX) return;
  const noted = await Promise.all(
    names.map(async (name) => ({ name, at: (await stat(path.join(folder, name)).catch(() => null))?.mtimeMs ?? 0 })),
  );
  noted.sort((a, b) => b.at - a.at);
  await take(
    folder,
    noted.slice(WORDS_MAX).map(({ name }) => name),
  );
}

const nameOf = (id: string): string[] => (LEASE.test(id) ? [id.slice(0, ID_LETTERS)] : []);

/** All that run. `before`: what was noted before anybody asked which they are: what was noted since stays. */
export async function noteLeases(data: string, ids: readonly string[], before: readonly string[]): Promise<void> {
  const folder = placeOf(data, "leases");
  const run = new Set(ids.flatMap(nameOf).slice(0, WORDS_MAX));
  const known = new Set(before);
  try {
    await take(
      folder,
      before.filter((name) => !run.has(name)),
    );
    await put(
      folder,
      [...run].filter((name) => !known.has(name)),
    );
    await bound(folder);
  } catch {
    return;
  }
}

/** One that begins or ends to run. */
export async function noteLease(data: string, id: string, runs: boolean): Promise<void> {
  const folder = placeOf(data, "leases");
  try {
    if (!runs) return await take(folder, nameOf(id));
    await put(folder, nameOf(id));
    await bound(folder);
  } catch {
    return;
  }
}
