/**
 * Workers that wait for the next job of the customer that they have served. Each serves one lane: one customer's jobs of one size, so that
 * what the kernel holds it to (control group, limits of its own) is the next job's, too. How many jobs, how long, how large and how many
 * there are is bounded. Who controls the inputs: customers (how many jobs, of which sizes), the owner (how many may wait); the processes
 * themselves are their customer's where it broke out of the engine.
 */
import { readFile } from "node:fs/promises";
import { freemem } from "node:os";
import type { BoundedJob } from "./worker/bounds.ts";

const MIB = 1024 * 1024;
/** What a process serves before it ends, and for how long. */
const JOBS_MAX = 256;
const AGE_MS_MAX = 600_000;
const IDLE_MS_MAX = 30_000;
/** What it may hold when it is done with a job: part of what the next one's bound has for Node and its heap (bounds.ts). */
const RESIDENT_MIB_MAX = 384;
/** Of the host, which those that wait never take. */
const FREE_MIB_MIN = 1_024;

/** Whose jobs, and of what size: nothing else is served by the same process. */
export interface Lane {
  customer: string;
  /** Of that customer, who may have any number of them: only who has it can bring a job of this lane. */
  key: string;
  size: Omit<BoundedJob, "breakpoints"> & { vcpu: number };
  /** Digest of the module that comes next: one that has it is taken first. */
  module: string;
}

export interface WarmWorker {
  lane: Lane;
  compiled: string | null;
  startedMs: number;
  jobs: number;
  exited: Promise<unknown>;
}

const isOne = (a: Lane, b: Lane): boolean =>
  a.customer === b.customer &&
  a.key === b.key &&
  a.size.vcpu === b.size.vcpu &&
  a.size.memoryMibMax === b.size.memoryMibMax &&
  a.size.diskMibMax === b.size.diskMibMax &&
  a.size.outputMibMax === b.size.outputMibMax;

async function residentMib(pid: number): Promise<number> {
  const [, kib] = /^VmRSS:\s+(\d+) kB$/m.exec(await readFile(`/proc/${pid}/status`, "utf8")) ?? [];
  if (kib === undefined) throw new Error("the kernel does not say how large a guest's process is");
  return Number(kib) / 1024;
}

/** What is asked of the machine. */
interface Memory {
  residentMib(pid: number): Promise<number>;
  freeMib(): number;
}
const HOST: Memory = { residentMib, freeMib: () => freemem() / MIB };

export class WarmWorkers<W extends WarmWorker> {
  readonly #most: number;
  readonly #memory: Memory;
  readonly #end: (worker: W) => Promise<void>;
  /** Those that wait, with their timers; longest first. */
  readonly #waiting = new Map<W, NodeJS.Timeout>();
  #closed = false;

  /** `end` ends a worker for good. */
  constructor(most: number, end: (worker: W) => Promise<void>, memory = HOST) {
    this.#most = most;
    this.#memory = memory;
    this.#end = end;
  }

  /** Whether a worker that is given its next job may take another after it. */
  goesOn({ startedMs, jobs }: Pick<W, "startedMs" | "jobs">): boolean {
    return this.#most > 0 && jobs < JOBS_MAX && performance.now() - startedMs < AGE_MS_MAX;
  }

  /** The one that served this lane last. */
  take(lane: Lane): W | null {
    const own = [...this.#waiting.keys()].filter((worker) => isOne(worker.lane, lane)).reverse();
    const worker = own.find(({ compiled }) => compiled === lane.module) ?? own[0];
    if (worker === undefined) return null;
    this.#leave(worker);
    return worker;
  }

  /** Throws where it may not, as it is now. `pid`: of the guest's own process. */
  async wait(worker: W, pid: number): Promise<void> {
    const resident = await this.#memory.residentMib(pid);
    if (resident > RESIDENT_MIB_MAX) throw new Error(`it holds ${Math.ceil(resident)} MiB`);
    if (this.#closed || !this.goesOn(worker)) throw new Error("it has served its time");
    this.#waiting.set(worker, setTimeout(() => this.#let(worker), IDLE_MS_MAX).unref());
    void worker.exited.then(() => this.#let(worker));
    for (const customer of [worker.lane.customer, null]) this.#shrink(customer);
    await this.makeRoom(0);
  }

  /** One customer has half of them at most, one at least; the one that waits longest goes. */
  #shrink(customer: string | null): void {
    const most = customer === null ? this.#most : Math.max(1, Math.floor(this.#most / 2));
    const all = [...this.#waiting.keys()].filter(({ lane }) => customer === null || lane.customer === customer);
    for (const worker of all.slice(0, Math.max(0, all.length - most))) this.#let(worker);
  }

  async makeRoom(memoryMib: number): Promise<void> {
    if (this.#waiting.size > 0 && this.#memory.freeMib() < FREE_MIB_MIN + memoryMib) await this.#all();
  }

  #leave(worker: W): boolean {
    clearTimeout(this.#waiting.get(worker));
    return this.#waiting.delete(worker);
  }

  #let(worker: W): void {
    if (this.#leave(worker)) void this.#end(worker).catch(() => {});
  }

  async #all(): Promise<void> {
    const all = [...this.#waiting.keys()];
    for (const worker of all) this.#leave(worker);
    // one that cannot be ended keeps nobody from what comes, nor the others from their end
    await Promise.allSettled(all.map((worker) => this.#end(worker)));
  }

  async close(): Promise<void> {
    this.#closed = true;
    await this.#all();
  }
}
