/**
 * Folders for the time that something takes: gone when it is done, and when a signal that nobody here listens to ends the program, or it
 * exits in the midst of it. What a kill leaves lies where the system clears up (or held-scratch.ts).
 */
import { rmSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";

const ENDING = ["SIGINT", "SIGTERM", "SIGHUP"] as const;
/** Those that are there now. */
const folders = new Set<string>();

function removeAll(): void {
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
}

function onSignal(signal: NodeJS.Signals): void {
  // whoever else listens ends what is under way, and it removes its own
  if (process.listenerCount(signal) > 1) return;
  removeAll();
  process.removeListener(signal, onSignal);
  process.kill(process.pid, signal);
}

function watch(): void {
  process.on("exit", removeAll);
  for (const signal of ENDING) process.on(signal, onSignal);
}

function unwatch(): void {
  process.removeListener("exit", removeAll);
  for (const signal of ENDING) process.removeListener(signal, onSignal);
}

export interface Scratch {
  folder: string;
  /** Idempotent. */
  remove(): Promise<void>;
}

/** `name`: who has made it, for whoever finds one. */
export async function scratch(name: string): Promise<Scratch> {
  const folder = await mkdtemp(path.join(tmpdir(), `xeno-${name}-`));
  if (folders.size === 0) watch();
  folders.add(folder);
  return {
    folder,
    async remove() {
      if (folders.delete(folder) && folders.size === 0) unwatch();
      await rm(folder, { recursive: true, force: true });
    },
  };
}
