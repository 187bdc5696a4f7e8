/**
 * Threads of dom0's kernel that work for one domain alone: those that move what its disks read and write (blkback), and what its network
 * card receives (netback). The kernel names each after the number of its domain, and begins it when the guest's driver connects. Who
 * controls the inputs: dom0's kernel.
 */
import { readFile } from "node:fs/promises";
import path from "node:path";

/** The parent of all threads of the kernel's own. */
const KTHREADD = 2;
/** One look serves all domains of a server. */
const LOOK_MS = 500;

/** The domain's number: `1.xvda-0`, `vif1.0-q0-guest` (the kernel keeps fifteen characters). */
export function domainOfThread(name: string): number | null {
  const id = /^(?:vif)?(\d{1,5})\.(?:xvd|\d+-q)/.exec(name)?.[1];
  return id === undefined ? null : Number(id);
}

const textOf = (file: string): Promise<string> => readFile(file, "utf8").catch(() => "");

export class BackEndThreads {
  readonly #proc: string;
  #lookedAt = -Infinity;
  #last: Promise<ReadonlyMap<number, readonly string[]>> = Promise.resolve(new Map());

  constructor(proc = "/proc") {
    this.#proc = proc;
  }

  /** Process ids of the threads that work for the domain of that number. */
  async of(id: number): Promise<readonly string[]> {
    if (performance.now() - this.#lookedAt >= LOOK_MS) {
      this.#lookedAt = performance.now();
      this.#last = this.#look();
    }
    return (await this.#last).get(id) ?? [];
  }

  async #look(): Promise<ReadonlyMap<number, readonly string[]>> {
    const all = new Map<number, string[]>();
    const children = await textOf(path.join(this.#proc, `${KTHREADD}/task/${KTHREADD}/children`));
    for (const pid of children.split(" ").filter(Boolean)) {
      const id = domainOfThread((await textOf(path.join(this.#proc, pid, "comm"))).trim());
      if (id !== null) all.set(id, [...(all.get(id) ?? []), pid]);
    }
    return all;
  }
}
