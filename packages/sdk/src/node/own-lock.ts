/**
 * One program at a time, of this machine and its containers: a file that says whose it is. What a program left that was killed is taken
 * over. Who controls the inputs: this machine's disk.
 */
import { rm, stat } from "node:fs/promises";
import path from "node:path";
import { setTimeout as after } from "node:timers/promises";
import { ifThere, makeFolder, readIfThere, systemCode, writeNew } from "@xenoservers/protocol/files";
import { InUseError } from "../errors.ts";
import { Presence, clearLeft, whoIsThere } from "./lock-holder.ts";

/** What this process holds, by the file's name. */
const held = new Map<string, Presence>();

const ASKED_EVERY_MS = 20;
/** Where files have one name only, it is there before what stands in it, and that comes within so long or never. */
const WRITTEN_WITHIN_MS = 5_000;

async function isBeingWritten(lock: string): Promise<boolean> {
  const found = await ifThere(stat(lock));
  return found?.size === 0 && Math.abs(Date.now() - found.mtimeMs) < WRITTEN_WITHIN_MS;
}

const whoHolds = (lock: string, text: string): Promise<string | null> => whoIsThere(text, path.dirname(lock));

/** Whether the file is this process's now; it answers before anybody can read whose it is. */
async function put(lock: string): Promise<boolean> {
  await makeFolder(path.dirname(lock));
  const presence = await Presence.in(path.dirname(lock));
  try {
    await writeNew(lock, presence.text);
  } catch (error) {
    await presence.end();
    if (systemCode(error) === "EEXIST") return false;
    throw error;
  }
  // whose file somebody has removed
  const before = held.get(lock);
  held.set(lock, presence);
  await before?.end();
  return true;
}

/** Null: it is this process's now; else whose it is, in words. */
export async function takeLock(lock: string): Promise<string | null> {
  for (;;) {
    const before = await readIfThere(lock);
    if (before === null && (await put(lock))) return null;
    if (await isBeingWritten(lock)) {
      await after(ASKED_EVERY_MS);
      continue;
    }
    const owner = await whoHolds(lock, (await readIfThere(lock)) ?? "");
    if (owner !== null) return owner;
    const clearer = await clearDead(lock);
    if (clearer !== null) return clearer;
  }
}

/** Under a lock of its own: what was left behind when it was looked at may be another's by then, which has taken it over. */
async function clearDead(lock: string): Promise<string | null> {
  const clearing = `${lock}.clearing`;
  const clearer = await takeLock(clearing);
  if (clearer !== null) return clearer;
  try {
    const text = await readIfThere(lock);
    if (text === null || (await whoHolds(lock, text)) !== null || (await isBeingWritten(lock))) return null;
    // who let go of it while it was asked left it to the next; nobody else removes what nobody holds, so what is there still is this one
    if ((await readIfThere(lock)) !== text) return null;
    await clearLeft(text, path.dirname(lock));
    await rm(lock, { force: true });
  } finally {
    await dropLock(clearing);
  }
  return null;
}

/** Somebody else's from then on: it has no file any more before nobody answers for it. */
export async function dropLock(lock: string): Promise<void> {
  const presence = held.get(lock);
  held.delete(lock);
  await rm(lock, { force: true });
  await presence?.end();
}

/** Whoever holds it reads a file and writes it. */
const WAITED_MS_MAX = 20_000;

/** Does something while no other program does the like. Throws InUseError where one does not come to its end. */
export async function whileLocked<T>(lock: string, work: () => Promise<T>): Promise<T> {
  const began = performance.now();
  for (let owner = await takeLock(lock); owner !== null; owner = await takeLock(lock)) {
    if (performance.now() - began > WAITED_MS_MAX)
      throw new InUseError(`${owner} has ${lock} and does not let go: end it (if that is another program, remove the file)`);
    await after(ASKED_EVERY_MS);
  }
  try {
    return await work();
  } finally {
    await dropLock(lock);
  }
}
