/**
 * A folder for the time that something takes: gone when it is done, and when a signal that nobody here listens to ends the program, or it
 * exits in the midst of it. What a kill leaves lies where the system clears up.
 */
import { rmSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";

const ENDING = ["SIGINT", "SIGTERM", "SIGHUP"] as const;

interface Scratch {
  folder: string;
  /** Idempotent. */
  remove(): Promise<void>;
}

/** `name`: who has made it, for whoever finds one. */
export async function scratch(name: string): Promise<Scratch> {
  const folder = await mkdtemp(path.join(tmpdir(), `xeno-${name}-`));
  const removeNow = (): void => rmSync(folder, { recursive: true, force: true });
  const onSignal = (signal: NodeJS.Signals): void => {
    process.removeListener(signal, onSignal);
    if (process.listenerCount(signal) > 0) return; // whoever listens ends what is under way, and it removes this
    removeNow();
    process.kill(process.pid, signal);
  };
  process.once("exit", removeNow);
  for (const signal of ENDING) process.on(signal, onSignal);
  return {
    folder,
    async remove() {
      process.removeListener("exit", removeNow);
      for (const signal of ENDING) process.removeListener(signal, onSignal);
      await rm(folder, { recursive: true, force: true });
    },
  };
}
