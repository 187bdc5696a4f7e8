import { mkdtemp, readFile, readdir, rm, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { dropLock, takeLock } from "./own-lock.ts";

/** Of no process: above what any kernel gives. */
const DEAD = "4194304999";
let folder: string;
let lock: string;
beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), "xeno-lock-"));
  lock = path.join(folder, "lock");
});
afterEach(() => rm(folder, { recursive: true, force: true }));

it("is one process's, and the next one's once it is let go", async () => {
  expect(await takeLock(lock)).toBeNull();
  expect(await takeLock(lock)).toBe(process.pid);
  await dropLock(lock);
  expect(await takeLock(lock)).toBeNull();
});

it("that a program left which was killed is taken over, also while it cleared another's", async () => {
  for (const each of [lock, `${lock}.clearing`]) await writeFile(each, DEAD);
  expect(await takeLock(lock)).toBeNull();
  expect([await readFile(lock, "utf8"), await readdir(folder)]).toEqual([String(process.pid), ["lock"]]);
});

it("is taken from nobody who is just writing who it is, where a file is there before its bytes", async () => {
  await writeFile(lock, "");
  let isTaken = false;
  const taken = takeLock(lock).finally(() => (isTaken = true));
  // each try has a file of its own; who took it for nobody's would have it with the third
  const tries = new Set<string>();
  while (tries.size <= 3 && !isTaken) {
    const now = new Date();
    await utimes(lock, now, now);
    for (const name of await readdir(folder)) if (name.endsWith(".part")) tries.add(name);
  }
  expect(isTaken).toBe(false);
  await writeFile(lock, String(process.ppid));
  expect(await taken).toBe(process.ppid);
});

it("in which nothing stands for long is nobody's", async () => {
  await writeFile(lock, "");
  await utimes(lock, 1_000_000_000, 1_000_000_000);
  expect(await takeLock(lock)).toBeNull();
});
