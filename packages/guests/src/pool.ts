/**
 * Workers, started ahead. A worker is a detached process with a folder of its own. Where it may go on after its job it waits for the next
 * one of the same customer (warm.ts); else the folder stays its guest's until the lease is over.
 */
import { constants, writeFileSync } from "node:fs";
import { copyFile, link, mkdir, readFile, readdir, rm } from "node:fs/promises";
import path from "node:path";
import type { Socket } from "node:net";
import type { Cgroup } from "./cgroup.ts";
import { guestTextEnd } from "./guest-files.ts";
import { emptyHandIn, handInFiles, progressOf } from "./handed-in.ts";
import { isAlive, startTicksOf, type Exit, type ProcessId } from "./programs/process-id.ts";
import type { Program } from "./programs/program.ts";
import { endsWithUs } from "./programs/ends-with-us.ts";
import { start } from "./programs/start.ts";
import { letGuestRead, letGuestSee, type Sandbox } from "./sandbox.ts";
import { codeOf } from "./thrown.ts";
import { WarmWorkers, type Lane, type WarmWorker } from "./warm.ts";
import { createGroup, groupOf, holdGroup, removeWorker } from "./worker-group.ts";
import { CODE_SUFFIX } from "./worker/machine-code.ts";
import { PRELOAD_VARIABLE, WORKER_FILES, type WorkerJob } from "./worker/job.ts";

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
  program: Program;
  stdin: Socket;
  folder: string;
  cgroup: Cgroup | null;
  copy: string | null;
}

/**
 * A name of it in the worker's folder, which the worker sees read-only; a copy where that lies on another file system. Null when the file
 * has gone meanwhile.
 */
const placed = (file: string, folder: string): Promise<string | null> => {
  const name = path.basename(file);
  const to = path.join(folder, name);
  return link(file, to)
    .catch(() => copyFile(file, to, constants.COPYFILE_FICLONE))
    .then(() => letGuestRead(to))
    .then(
      () => name,
      () => null,
    );
};

/** The same of a module, with its machine code where that is kept beside it. */
async function modulePlaced(file: string, folder: string): Promise<string | null> {
  const name = await placed(file, folder);
  if (name !== null) await placed(`${file}${CODE_SUFFIX}`, folder);
  return name;
}

export interface PoolOptions {
  /** How many at most wait for the next job of their customer. */
  warm?: number;
  /** A guest is nobody's once this process is gone: it ends with it, and no later daemon takes it over. */
  endWithUs?: boolean;
}

/** Starting a process blocks the daemon for some ms; the guest that was just taken goes first. */
const REFILL_AFTER_MS = 50;

export class WorkerPool {
  readonly #sandbox: Sandbox;
  readonly #folder: string;
  readonly #size: number;
  readonly #endWithUs: boolean;
  #waiting: Promise<Waiting>[] = [];
  #made = 0;
  #closed = false;
  #preload: Preload | null = null;
  readonly #warm: WarmWorkers<Started & WarmWorker>;

  /** `size`: how many wait for anybody. */
  constructor(sandbox: Sandbox, folder: string, size: number, { warm = 0, endWithUs = false }: PoolOptions = {}) {
    this.#sandbox = sandbox;
    this.#folder = folder;
    this.#size = size;
    this.#endWithUs = endWithUs;
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
    const copy = preload && "file" in preload ? await modulePlaced(preload.file, folder) : null;
    const preloadPath = preload && "path" in preload ? preload.path : copy;
    const cgroup = await createGroup(this.#sandbox.limits, folder);
    const [command, ...args] = this.#sandbox.command(folder, deep, cgroup);
    const log = { file: path.join(folder, WORKER_FILES.log), flags: "w", mode: 0o600 };
    const started = await start(command, args, {
      detached: true,
      stdio: ["pipe", log, log, ...handInFiles(folder)],
      env: preloadPath === null ? {} : { [PRELOAD_VARIABLE]: preloadPath },
      cwd: "/",
    });
    if (this.#endWithUs) endsWithUs(started);
    const [stdin] = started.stdio;
    if (!stdin) throw new Error("a guest process was started without standard input");
    stdin.on("error", () => {});
    return { program: started, stdin, folder, cgroup, copy };
  }

  /**
   * Takes a waiting worker, with a copy of this file if it is still there; another is started in its place. With a lane, one that has
   * served it before where there is one, and whatever is taken may go on with it.
   */
  async take(file: string | null = null, lane: Lane | null = null): Promise<TakenWorker> {
    const warm = lane === null ? null : await this.#warm.take(lane);
    if (warm !== null) {
      const copy = file === null || warm.compiled === lane?.module ? null : await modulePlaced(file, warm.folder);
      return this.#taken(warm, copy, lane);
    }
    const next = this.#waiting.shift() ?? this.#start();
    setTimeout(() => this.#fill(), REFILL_AFTER_MS).unref();
    const waiting = await next;
    const { folder, copy } = waiting;
    const started = await this.#begun(waiting);
    if (copy !== null && file !== null && copy === path.basename(file)) return this.#taken(started, copy, lane);
    // it was got ready for another's job
    if (copy !== null) for (const end of ["", CODE_SUFFIX]) await rm(path.join(folder, `${copy}${end}`), { force: true });
    return this.#taken(started, file === null ? null : await modulePlaced(file, folder), lane);
  }

  /** A worker of its own for a build with breakpoints; none of them wait, for they are needed in disputes alone. */
  async takeDeep(): Promise<TakenWorker> {
    return this.#taken(await this.#begun(await this.#start(true)), null, null);
  }

  /** What waits for its customer's next job ends where the host is short of memory for what comes. */
  makeRoom(memoryMib: number): Promise<void> {
    return this.#warm.makeRoom(memoryMib);
  }

  async #begun({ program, stdin, folder, cgroup }: Waiting): Promise<Started> {
    const { pid, exited } = program;
    const startTicks = await startTicksOf(pid);
    if (startTicks === null) {
      throw new Error(`a guest process ended before its job came: ${await guestTextEnd(folder, WORKER_FILES.log, 400)}`);
    }
    program.unref();
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
        if (cgroup !== null && isFirst) await holdGroup(cgroup, job, vcpu);
        // of a few words: threads that are begun beside a busy guest wait for their turn
        writeFileSync(path.join(folder, WORKER_FILES.job), path.basename(apart));
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
      const {
        program: { pid },
        folder,
      } = one.value;
      const startTicks = await startTicksOf(pid);
      if (startTicks !== null) await signalWorker({ pid, startTicks }, "SIGKILL");
      await this.#remove(folder);
    }
  }
}
