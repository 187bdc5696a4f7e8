/**
 * Workers, started ahead. A worker is a detached process with a folder of its own. Where it may go on after its job it waits for the next
 * one of the same customer (warm.ts); else the folder stays its guest's until the lease is over.
 */
import { spawn, type ChildProcess } from "node:child_process";
import { closeSync, constants, openSync } from "node:fs";
import { copyFile, mkdir, readFile, readdir, rm, writeFile } from "node:fs/promises";
import path from "node:path";
import { Socket } from "node:net";
import { setShare, type Cgroup } from "./cgroup.ts";
import { guestTextEnd } from "./guest-files.ts";
import { emptyHandIn, openHandIn, progressOf } from "./handed-in.ts";
import { isRecord } from "./json.ts";
import { letGuestRead, letGuestSee, type Sandbox } from "./sandbox.ts";
import { codeOf } from "./thrown.ts";
import { WarmWorkers, type Lane, type WarmWorker } from "./warm.ts";
import { createGroup, groupOf, removeWorker, shareOf } from "./worker-group.ts";
import { PRELOAD_VARIABLE, WORKER_FILES, type WorkerJob } from "./worker/job.ts";

/** How a process is found again after the daemon was restarted: a pid alone may have been given to another. */
export interface ProcessId {
  pid: number;
  /** Start time in clock ticks since boot, from /proc/PID/stat. */
  startTicks: string;
}

export const isProcessId = (value: unknown): value is ProcessId =>
  isRecord(value) && typeof value["pid"] === "number" && typeof value["startTicks"] === "string";

/** Waits until a process runs. Throws where it cannot. */
export async function spawned(child: ChildProcess): Promise<number> {
  await new Promise<void>((resolve, reject) => child.once("spawn", resolve).once("error", reject));
  if (child.pid === undefined) throw new Error("a process was started without an id");
  return child.pid;
}

export async function startTicksOf(pid: number): Promise<string | null> {
  const stat = await readFile(`/proc/${pid}/stat`, "utf8").catch(() => null);
  if (stat === null) return null;
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  if (fields[0] === "Z") return null;
  const startTicks = fields[19];
  if (startTicks === undefined) throw new Error(`/proc/${pid}/stat does not say when the process began`);
  return startTicks;
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
    if (codeOf(error) !== "ESRCH") throw error;
  }
}

/** How a process ended: a code, or the signal that ended it. */
export interface Exit {
  code: number | null;
  signal: NodeJS.Signals | null;
}

/**
 * A module to compile while waiting: one that every worker sees, by its path there; or a file of this host, which the worker gets a copy
 * of.
 */
type Preload = { path: string } | { file: string };

export interface TakenWorker {
  folder: string;
  /** Where what came of this job lies once the process is done with it and goes on. */
  apart: string;
  /** The name in its folder of the module that it was taken with. */
  copy: string | null;
  /** Digest of the module that it has compiled, of an earlier job. */
  compiled: string | null;
  id: ProcessId;
  /** What holds it to its share; null where nothing does. */
  cgroup: Cgroup | null;
  /** Gives it its job, once it is held to what was bought. */
  hand(job: WorkerJob, vcpu: number): Promise<void>;
  exited: Promise<Exit>;
  /** Called once all of the job's is set apart; null where the process takes no other job. */
  goOn: (() => Promise<void>) | null;
}

/** A process, and what is known of its jobs. */
interface Started {
  folder: string;
  id: ProcessId;
  cgroup: Cgroup | null;
  exited: Promise<Exit>;
  stdin: Socket;
  startedMs: number;
  jobs: number;
  compiled: string | null;
}

const APART = /\.\d+$/;

/** Where what came of a job lies, as its worker named it (`apart`), and whether it is set apart already. */
export function placeOf(apart: string): { folder: string; isApart: boolean } {
  if (APART.test(apart) && progressOf(apart).isHandedIn) return { folder: apart, isApart: true };
  return { folder: apart.replace(APART, ""), isApart: false };
}

interface Waiting {
  child: ChildProcess;
  pid: number;
  stdin: Socket;
  folder: string;
  cgroup: Cgroup | null;
  copy: string | null;
}

/** A copy, so that the worker cannot change what others get; null when the file has gone meanwhile. */
const copied = (file: string, folder: string): Promise<string | null> => {
  const name = path.basename(file);
  const to = path.join(folder, name);
  return copyFile(file, to, constants.COPYFILE_FICLONE)
    .then(() => letGuestRead(to))
    .then(
      () => name,
      () => null,
    );
};

/** Starting a process blocks the daemon for some ms; the guest that was just taken goes first. */
const REFILL_AFTER_MS = 50;

export class WorkerPool {
  readonly #sandbox: Sandbox;
  readonly #folder: string;
  readonly #size: number;
  #waiting: Promise<Waiting>[] = [];
  #made = 0;
  #closed = false;
  #preload: Preload | null = null;
  readonly #warm: WarmWorkers<Started & WarmWorker>;

  /** `size`: how many wait for anybody; `warm`: how many at most wait for the next job of their customer. */
  constructor(sandbox: Sandbox, folder: string, size: number, warm = 0) {
    this.#sandbox = sandbox;
    this.#folder = folder;
    this.#size = size;
    // without walls a guest could put links in the place of what is emptied here
    this.#warm = new WarmWorkers(sandbox.strength === "strong" ? warm : 0, (worker) => this.#ended(worker));
  }

  /** Workers started from now on compile this module while they wait: what ran last is likely to run next. */
  expect(module: Preload | null): void {
    this.#preload = module;
  }

  /** Removes what earlier daemons left, but for the folders of guests that live on. */
  async open(inUse: readonly string[] = []): Promise<void> {
    await mkdir(this.#folder, { recursive: true, mode: 0o700 });
    const kept = new Set(inUse.map((folder) => path.basename(placeOf(folder).folder)));
    for (const name of await readdir(this.#folder)) if (!kept.has(name)) await this.#remove(path.join(this.#folder, name));
    this.#fill();
  }

  #remove(folder: string): Promise<void> {
    return removeWorker(folder, groupOf(this.#sandbox.limits, folder));
  }

  #fill(): void {
    while (!this.#closed && this.#waiting.length < this.#size) {
      const waiting = this.#start();
      waiting.catch(() => {});
      this.#waiting.push(waiting);
    }
  }

  /** One more than there are to be, for a job that is about to come; resolves once it is starting. */
  async startOne(): Promise<void> {
    const waiting = this.#start();
    this.#waiting.push(waiting);
    await waiting;
  }

  async #start(deep = false): Promise<Waiting> {
    const folder = path.join(this.#folder, `${process.hrtime.bigint()}-${++this.#made}`);
    await mkdir(folder, { recursive: true, mode: 0o700 });
    const blobs = path.join(folder, WORKER_FILES.blobs);
    await mkdir(blobs);
    for (const each of [folder, blobs]) await letGuestSee(each);
    const preload = deep ? null : this.#preload;
    const copy = preload && "file" in preload ? await copied(preload.file, folder) : null;
    const preloadPath = preload && "path" in preload ? preload.path : copy;
    const cgroup = await createGroup(this.#sandbox.limits, folder);
    const [command, ...args] = this.#sandbox.command(folder, deep, cgroup);
    const log = openSync(path.join(folder, WORKER_FILES.log), "w", 0o600);
    const handIn = openHandIn(folder);
    const child = spawn(command, args, {
      detached: true,
      stdio: ["pipe", log, log, ...handIn],
      env: preloadPath === null ? {} : { [PRELOAD_VARIABLE]: preloadPath },
      cwd: "/",
    });
    for (const fd of [log, ...handIn]) closeSync(fd);
    const { stdin } = child;
    stdin?.on("error", () => {});
    const pid = await spawned(child);
    if (!(stdin instanceof Socket)) throw new Error("a guest process was started without standard input");
    return { child, pid, stdin, folder, cgroup, copy };
  }

  /**
   * Takes a waiting worker, with a copy of this file if it is still there; another is started in its place. With a lane, one that has
   * served it before where there is one, and whatever is taken may go on with it.
   */
  async take(file: string | null = null, lane: Lane | null = null): Promise<TakenWorker> {
    const warm = lane === null ? null : await this.#warm.take(lane);
    if (warm !== null) {
      const copy = file === null || warm.compiled === lane?.module ? null : await copied(file, warm.folder);
      return this.#taken(warm, copy, lane);
    }
    const next = this.#waiting.shift() ?? this.#start();
    setTimeout(() => this.#fill(), REFILL_AFTER_MS).unref();
    const waiting = await next;
    const { folder, copy } = waiting;
    const started = await this.#begun(waiting);
    if (copy !== null && file !== null && copy === path.basename(file)) return this.#taken(started, copy, lane);
    if (copy !== null) await rm(path.join(folder, copy)); // it was got ready for another's job
    return this.#taken(started, file === null ? null : await copied(file, folder), lane);
  }

  /** A worker of its own for a build with breakpoints; none of them wait, for they are needed in disputes alone. */
  async takeDeep(): Promise<TakenWorker> {
    return this.#taken(await this.#begun(await this.#start(true)), null, null);
  }

  /** What waits for its customer's next job ends where the host is short of memory for what comes. */
  makeRoom(memoryMib: number): Promise<void> {
    return this.#warm.makeRoom(memoryMib);
  }

  async #begun({ child, pid, stdin, folder, cgroup }: Waiting): Promise<Started> {
    const startTicks = await startTicksOf(pid);
    if (startTicks === null) {
      throw new Error(`a guest process ended before its job came: ${await guestTextEnd(folder, WORKER_FILES.log, 400)}`);
    }
    const { exitCode, signalCode } = child;
    const exited =
      exitCode === null && signalCode === null
        ? new Promise<Exit>((resolve) => child.once("exit", (code, signal) => resolve({ code, signal })))
        : Promise.resolve({ code: exitCode, signal: signalCode });
    child.unref();
    stdin.unref();
    return { folder, id: { pid, startTicks }, cgroup, exited, stdin, startedMs: performance.now(), jobs: 0, compiled: null };
  }

  #taken(started: Started, copy: string | null, lane: Lane | null): TakenWorker {
    const { folder, id, cgroup, exited, stdin, compiled } = started;
    const apart = `${folder}.${++started.jobs}`;
    const isFirst = started.jobs === 1;
    const lasting = lane !== null && this.#warm.goesOn(started) ? lane : null;
    return {
      ...{ folder, apart, copy, compiled, cgroup, id, exited },
      async hand(job, vcpu) {
        // a lane's jobs are all of one size
        if (cgroup !== null && isFirst) await setShare(cgroup, shareOf(job, vcpu));
        await writeFile(path.join(folder, WORKER_FILES.job), path.basename(apart));
        const line = `${JSON.stringify(job)}\n`;
        if (lasting === null) stdin.end(line);
        else stdin.write(line);
      },
      goOn: lasting && (() => this.#goesOn({ ...started, compiled: lasting.module, lane: lasting })),
    };
  }

  /** Empties what the process hands in, lets go of what it was given, and has it wait; or ends it. */
  async #goesOn(worker: Started & WarmWorker): Promise<void> {
    const { folder } = worker;
    try {
      const kept = new Set<string>([WORKER_FILES.blobs, WORKER_FILES.log, ...(await emptyHandIn(folder))]);
      for (const name of await readdir(path.join(folder, WORKER_FILES.blobs))) await rm(path.join(folder, WORKER_FILES.blobs, name));
      for (const name of await readdir(folder)) if (!kept.has(name)) await rm(path.join(folder, name));
      await this.#warm.wait(worker, await innermost(worker.id.pid));
    } catch {
      await this.#ended(worker);
    }
  }

  async #ended({ id, folder, stdin }: Started): Promise<void> {
    stdin.end();
    await signalWorker(id, "SIGKILL");
    await this.#remove(folder);
  }

  async close(): Promise<void> {
    this.#closed = true;
    await this.#warm.close();
    const waiting = await Promise.allSettled(this.#waiting.splice(0));
    for (const one of waiting) {
      if (one.status === "rejected") continue;
      const { pid, folder } = one.value;
      const startTicks = await startTicksOf(pid);
      if (startTicks !== null) await signalWorker({ pid, startTicks }, "SIGKILL");
      await this.#remove(folder);
    }
  }
}
