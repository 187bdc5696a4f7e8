/**
 * One program of this machine at a time: a file with the id of its process. What a program left that was killed is taken over. Who controls
 * the inputs: this machine's disk.
 */
import { rm, stat } from "node:fs/promises";
import { setTimeout as after } from "node:timers/promises";
import { ifThere, readIfThere, writeNew } from "@xenoservers/protocol/files";
import { InUseError } from "../errors.ts";

/** Of a process of this machine that is there. */
function isThere(pid: number): boolean {
  if (!(pid > 0)) return false;
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    // another user's cannot be asked, and is there
    return error instanceof Error && "code" in error && error.code === "EPERM";
  }
}

const ASKED_EVERY_MS = 20;
/** Where files have one name only, it is there before what stands in it, and that comes within so long or never. */
const WRITTEN_WITHIN_MS = 5_000;

async function isBeingWritten(lock: string): Promise<boolean> {
  const found = await ifThere(stat(lock));
  return found?.size === 0 && Math.abs(Date.now() - found.mtimeMs) < WRITTEN_WITHIN_MS;
}

/** Null: it is this process's now; else whose it is. */
export async function takeLock(lock: string): Promise<number | null> {
  for (;;) {
    const taken = await writeNew(lock, String(process.pid)).then(
      () => true,
      (error: NodeJS.ErrnoException) => {
        if (error.code === "EEXIST") return false;
        throw error;
      },
    );
    if (taken) return null;
    if (await isBeingWritten(lock)) {
      await after(ASKED_EVERY_MS);
      continue;
    }
    const owner = Number(await readIfThere(lock));
    if (isThere(owner)) return owner;
    const clearer = await clearDead(lock);
    if (clearer !== null) return clearer;
  }
}

/** Under a lock of its own: what was left behind when it was looked at may be another's by then, which has taken it over. */
async function clearDead(lock: string): Promise<number | null> {
  const clearing = `${lock}.clearing`;
  const clearer = await takeLock(clearing);
  if (clearer !== null) return clearer;
  try {
    const text = await readIfThere(lock);
    // nobody else removes what nobody holds, so it is still this one
    if (text !== null && !isThere(Number(text)) && !(await isBeingWritten(lock))) await rm(lock, { force: true });
  } finally {
    await rm(clearing, { force: true });
  }
  return null;
}

export const dropLock = (lock: string): Promise<void> => rm(lock, { force: true });

/** Whoever holds it reads a file and writes it. */
const WAITED_MS_MAX = 20_000;

/** Does something while no other program does the like. Throws InUseError where one does not come to its end. */
export async function whileLocked<T>(lock: string, work: () => Promise<T>): Promise<T> {
  const began = performance.now();
  for (let owner = await takeLock(lock); owner !== null; owner = await takeLock(lock)) {
    if (performance.now() - began > WAITED_MS_MAX)
      throw new InUseError(`process ${owner} has ${lock} and does not let go: end it (if that is another program, remove the file)`);
    await after(ASKED_EVERY_MS);
  }
  try {
    return await work();
  } finally {
    await dropLock(lock);
  }
}
