/** Processor time of this program and all that it has started, those that have ended too. */
import { readFileSync, readdirSync } from "node:fs";

const TICK_MS = 10;

interface Program {
  parent: number;
  /** Its own, and that of its children that have ended. */
  ticks: number;
}

function programs(): Map<number, Program> {
  const found = new Map<number, Program>();
  for (const name of readdirSync("/proc")) {
    if (!/^\d+$/.test(name)) continue;
    try {
      const text = readFileSync(`/proc/${name}/stat`, "utf8");
      // behind the name, which may hold anything: state, parent, …
      const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
      const ticks = [11, 12, 13, 14].reduce((sum, at) => sum + Number(fields[at]), 0);
      found.set(Number(name), { parent: Number(fields[1]), ticks });
    } catch {
      // it has ended meanwhile, and its parent has it
    }
  }
  return found;
}

/** In milliseconds, of this program with all below it. */
export function processorMs(): number {
  const all = programs();
  let ticks = 0;
  for (const [id, { ticks: own }] of all) {
    for (let at = id; at > 1; at = all.get(at)?.parent ?? 0)
      if (at === process.pid) {
        ticks += own;
        break;
      }
  }
  return ticks * TICK_MS;
}
