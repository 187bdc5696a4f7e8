/** How much memory a broker's process has, and how much of it an attack may cost. */
import { readFile } from "node:fs/promises";

export const MIB_PER_1000_LINKS_MAX = 64;
const SAMPLE_EVERY_MS = 100;

export const residentMib = async (pid: number): Promise<number> =>
  Number(/VmRSS:\s+(\d+)/.exec(await readFile(`/proc/${pid}/status`, "utf8"))?.[1] ?? 0) / 1024;

/** The most that a process had, from now on. */
export function watch(pid: number): () => number {
  let most = 0;
  const timer = setInterval(
    () =>
      void residentMib(pid).then(
        (now) => (most = Math.max(most, now)),
        () => {},
      ),
    SAMPLE_EVERY_MS,
  );
  return () => (clearInterval(timer), most);
}
