/** Guests outlive their daemon, and so they would a test that failed. */
import { readFile, readdir } from "node:fs/promises";

/** The processes that hold guests of daemons below that folder: when one ends, so does its guest. */
export async function guestsOf(folder: string): Promise<number[]> {
  const found: number[] = [];
  for (const name of await readdir("/proc")) {
    if (!/^\d+$/.test(name)) continue;
    const command = await readFile(`/proc/${name}/cmdline`, "utf8").catch(() => "");
    if (command.startsWith("unshare\0") && command.includes(`\0${folder}/`)) found.push(Number(name));
  }
  return found;
}

/** One that has just ended by itself is as well. */
function signalled(pid: number, signal: "SIGSTOP" | "SIGCONT" | "SIGKILL"): void {
  try {
    process.kill(pid, signal);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
  }
}

export async function endGuests(folder: string): Promise<void> {
  for (const pid of await guestsOf(folder)) signalled(pid, "SIGKILL");
}

/** Holds every guest as it is, whatever becomes of its daemon, until the function that comes back is called. */
export async function holdGuests(folder: string): Promise<() => void> {
  const held: number[] = [];
  for (const pid of await guestsOf(folder)) {
    const [inner] = (await readFile(`/proc/${pid}/task/${pid}/children`, "utf8").catch(() => "")).split(" ");
    if (inner) held.push(Number(inner));
  }
  for (const pid of held) signalled(pid, "SIGSTOP");
  return () => held.forEach((pid) => signalled(pid, "SIGCONT"));
}
