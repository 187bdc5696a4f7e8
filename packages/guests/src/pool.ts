/**
 * Single-use workers, started ahead. A worker is a detached process with a folder of its own, which stays its guest's until the lease is over.
 */
import { spawn, type ChildProcess } from "node:child_process";
import { closeSync, openSync } from "node:fs";
import { mkdir, readFile, readdir, rm } from "node:fs/promises";
import path from "node:path";
import type { Sandbox } from "./sandbox.ts";
import { PRELOAD_VARIABLE, WORKER_FILES, type WorkerJob } from "./worker/job.ts";

/** How a process is found again after the daemon was restarted: a pid alone may have been given to another. */
export interface ProcessId {
  pid: number;
  /** Start time in clock ticks since boot, from /proc/PID/stat. */
  startTicks: string;
}

export async function startTicksOf(pid: number): Promise<string | null> {
  const stat = await readFile(`/proc/${pid}/stat`, "utf8").catch(() => null);
  if (stat === null) return null;
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return fields[0] === "Z" ? null : fields[19]!;
}

export const isAlive = async ({ pid, startTicks }: ProcessId): Promise<boolean> => (await startTicksOf(pid)) === startTicks;

/** The worker itself: the child of unshare, or the process where there is no sandbox. */
async function innermost(pid: number): Promise<number> {
  const children = (await readFile(`/proc/${pid}/task/${pid}/children`, "utf8").catch(() => "")).trim();
  return children === "" ? pid : Number(children.split(" ")[0]);
}

export async function signalWorker(id: ProcessId, signal: "SIGINT" | "SIGKILL" | "SIGSTOP" | "SIGCONT"): Promise<void> {
  if (!(await isAlive(id))) return;
  try {
    process.kill(await innermost(id.pid), signal);
    if (signal === "SIGKILL") process.kill(id.pid, signal);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
  }
}

export interface TakenWorker {
  folder: string;
  id: ProcessId;
  hand(job: WorkerJob): void;
  exited: Promise<void>;
}

interface Waiting {
  child: ChildProcess;
  folder: string;
}

/** Starting a process blocks the daemon for some ms; the guest that was just taken goes first. */
const REFILL_AFTER_MS = 50;

export class WorkerPool {
  readonly #sandbox: Sandbox;
  readonly #folder: string;
  readonly #size: number;
  #waiting: Promise<Waiting>[] = [];
  #made = 0;
  #closed = false;
  #preload: string | null = null;

  constructor(sandbox: Sandbox, folder: string, size: number) {
    this.#sandbox = sandbox;
    this.#folder = folder;
    this.#size = size;
  }

  /** Workers started from now on compile this module (as the worker sees it) while they wait: what ran last is likely to run next. */
  expect(modulePath: string | null): void {
    this.#preload = modulePath;
  }

  /** Removes what earlier daemons left, but for the folders of guests that live on. */
  async open(inUse: readonly string[] = []): Promise<void> {
    await mkdir(this.#folder, { recursive: true, mode: 0o700 });
    const kept = new Set(inUse.map((folder) => path.basename(folder)));
    for (const name of await readdir(this.#folder)) if (!kept.has(name)) await rm(path.join(this.#folder, name), { recursive: true, force: true });
    this.#fill();
  }

  #fill(): void {
    while (!this.#closed && this.#waiting.length < this.#size) {
      const waiting = this.#start();
      waiting.catch(() => {});
      this.#waiting.push(waiting);
    }
  }

  async #start(deep = false): Promise<Waiting> {
    const folder = path.join(this.#folder, `${process.hrtime.bigint()}-${++this.#made}`);
    await mkdir(path.join(folder, WORKER_FILES.blobs), { recursive: true, mode: 0o700 });
    const [command, ...args] = this.#sandbox.command(folder, deep);
    const log = openSync(path.join(folder, WORKER_FILES.log), "w", 0o600);
    const child = spawn(command!, args, {
      detached: true,
      stdio: ["pipe", log, log],
      env: this.#preload === null ? {} : { [PRELOAD_VARIABLE]: this.#preload },
      cwd: "/",
    });
    closeSync(log);
    child.stdin!.on("error", () => {});
    await new Promise<void>((resolve, reject) => child.once("spawn", resolve).once("error", reject));
    return { child, folder };
  }

  /** Takes a waiting worker; another is started in its place. */
  async take(): Promise<TakenWorker> {
    const waiting = this.#waiting.shift() ?? this.#start();
    setTimeout(() => this.#fill(), REFILL_AFTER_MS).unref();
    return this.#taken(await waiting);
  }

  /** A worker of its own for a build with checkpoints; none of them wait, for they are needed in disputes alone. */
  async takeDeep(): Promise<TakenWorker> {
    return this.#taken(await this.#start(true));
  }

  async #taken({ child, folder }: Waiting): Promise<TakenWorker> {
    const startTicks = await startTicksOf(child.pid!);
    if (startTicks === null)
      throw new Error(
        `a guest process ended before its job came: ${(await readFile(path.join(folder, WORKER_FILES.log), "utf8").catch(() => "")).slice(-400)}`,
      );
    const exited = new Promise<void>((resolve) => (child.exitCode === null && child.signalCode === null ? child.once("exit", () => resolve()) : resolve()));
    child.unref();
    return { folder, id: { pid: child.pid!, startTicks }, hand: (job) => void child.stdin!.end(JSON.stringify(job)), exited };
  }

  async close(): Promise<void> {
    this.#closed = true;
    const waiting = await Promise.allSettled(this.#waiting.splice(0));
    for (const one of waiting) {
      if (one.status === "rejected") continue;
      const { child, folder } = one.value;
      const startTicks = await startTicksOf(child.pid!);
      if (startTicks !== null) await signalWorker({ pid: child.pid!, startTicks }, "SIGKILL");
      await rm(folder, { recursive: true, force: true });
    }
  }
}
