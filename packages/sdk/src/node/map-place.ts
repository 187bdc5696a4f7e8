/**
 * Where a map's journal lies on this machine: a folder of its own below the data folder, one program's at a time. Who controls the inputs:
 * whoever runs this (the name); this machine's disk.
 */
import { randomBytes } from "node:crypto";
import { open, readdir, rm, stat, type FileHandle } from "node:fs/promises";
import path from "node:path";
import { inPlace, makeFolder, readIfThere, writeWhole } from "@xenoservers/protocol/files";
import { InUseError, KeptError } from "../errors.ts";
import type { JournalPlace } from "../facade/map/journal.ts";
import { home } from "./home.ts";
import { dropLock, takeLock } from "./own-lock.ts";

const inUse = (name: string, lock: string, owner: string): InUseError =>
  new InUseError(`the map '${name}' is open in ${owner}: wait for it, or end it (if that is another program, remove ${lock})`);

/** Throws InUseError. */
async function lockAt(lock: string, name: string): Promise<void> {
  const owner = await takeLock(lock);
  if (owner !== null) throw inUse(name, lock, owner);
}

const mapsFolder = (): string => path.join(home.data, "maps");
const mapFolder = (name: string): string => path.join(mapsFolder(), name);

export async function openMapPlace(name: string): Promise<JournalPlace> {
  const folder = mapFolder(name);
  const [journal, lock] = [path.join(folder, "journal.jsonl"), path.join(folder, "lock")];
  const resultAt = (key: string): string => path.join(folder, "results", `${key}.json`);
  await makeFolder(folder);
  await lockAt(lock, name);
  // of the file that stands there now
  let end: FileHandle | null = null;
  const close = async (): Promise<void> => {
    const closed = end;
    end = null;
    await closed?.close();
  };
  return {
    async read() {
      const text = await readIfThere(journal);
      // what it has ordered would be ordered, and paid, again
      if (text === null && (await readIfThere(path.join(folder, "journal.json"))) !== null)
        throw new KeptError(`the map '${name}' was begun by an earlier version, whose journal is not read here: choose another name`);
      return text;
    },
    write: async (text) => {
      await close();
      await writeWhole(journal, text);
    },
    append: async (text) => {
      end ??= await open(journal, "a", 0o600);
      await end
        .appendFile(text)
        .then(() => end?.datasync())
        .catch((error: unknown) => Promise.reject(inPlace(error, journal)));
    },
    readResult: (key) => readIfThere(resultAt(key)),
    writeResult: (key, text) => writeWhole(resultAt(key), text),
    dropResult: (key) => rm(resultAt(key), { force: true }),
    close: async () => {
      await close().finally(() => dropLock(lock));
    },
  };
}

/** What nobody goes on with any more. */
export const dropMap = (name: string): Promise<void> => rm(mapFolder(name), { recursive: true, force: true });

const NAMELESS = /^map-[0-9a-f]{8}$/;
const NAMELESS_KEPT_MS = 30 * 24 * 60 * 60 * 1_000;

/** Of whoever names none, while somebody may still go on with it by the name that it was told. */
export const namelessMap = (): string => `map-${randomBytes(4).toString("hex")}`;

/**
 * What maps without a name of their own left that were killed, and that nobody has gone on with for a month; what cannot be removed stays.
 * There has been a map.
 */
export async function dropOldMaps(now = Date.now()): Promise<void> {
  const names = await readdir(mapsFolder());
  for (const name of names.filter((each) => NAMELESS.test(each))) {
    const journal = path.join(mapFolder(name), "journal.jsonl");
    const changedAt = await stat(journal).then(
      ({ mtimeMs }) => mtimeMs,
      () => null,
    );
    if (changedAt === null || now - changedAt <= NAMELESS_KEPT_MS) continue;
    // one that is in use stays
    await lockAt(path.join(mapFolder(name), "lock"), name)
      .then(() => dropMap(name))
      .catch(() => {});
  }
}
