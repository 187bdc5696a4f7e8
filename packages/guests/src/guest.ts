/**
 * A running guest as the daemon sees it: follows the files in the worker's folder, stops it, and says how it ended, by cause. The daemon
 * can be killed and find it again by `adopt`. Who controls the inputs: everything in the folder is the guest's word; names and digests
 * are checked by whoever sends them on.
 */
import { readFileSync, watch, type FSWatcher } from "node:fs";
import { rm } from "node:fs/promises";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { removeCgroup, wasOutOfMemory, type Limits } from "./cgroup.ts";
import { guestTextEnd, placeMarker, readGuestFile, statGuestFile } from "./guest-files.ts";
import { Kept, isSmall, progressOf, setApart } from "./handed-in.ts";
import { placeOf, signalWorker, type TakenWorker } from "./pool.ts";
import { isAlive, type Exit, type ProcessId } from "./programs/process-id.ts";
import { codeOf, messageOf } from "./thrown.ts";
import { groupOf, removeWorker } from "./worker-group.ts";
import type { HandedIn } from "./worker/handing.ts";
import { STOP_WITHIN_MS, WORKER_FILES, type WorkerResult } from "./worker/job.ts";

const POLL_MS = 500;
/** How long an interrupted guest may go on without a sign that it hands in what it has, and how long with one. */
const KILL_AFTER_MS = 5_000;
const HAND_IN_WITHIN_MS = 600_000;
const INTERRUPT_EVERY_MS = 200;
const BEGIN_WITHIN_MS = 20_000;
const BEGIN_POLL_MS = 20;
const CHUNK_BYTES = 64 * 1024;
/** Well above what the engine's limits let a worker write. */
const RESULT_BYTES_MAX = 64 * 1024 * 1024;

/**
 * How a guest's process came to its end, by whose doing. `finished`: it handed in a result, which says the rest. `stopped`: the daemon
 * was told to stop it, and it handed in nothing in time. `crashed`: the process broke by itself, in the platform's own code; whether the
 * job or the host's machine brought that about, nobody can tell. `host-failure`: it was ended from outside, or could not do what the
 * job's limits allow.
 */
export type GuestEnd =
  | { kind: "finished"; result: WorkerResult }
  | { kind: "stopped" }
  | { kind: "crashed"; detail: string }
  | { kind: "host-failure"; detail: string };

/** By the program's own doing, with nothing wrong in its process: only then may that take another job. */
const WELL: readonly WorkerResult["ending"][] = ["exit", "trap"];

/** Signals that a process gets for what it does itself; no SIGKILL, which is the kernel's or the owner's. */
const CRASHES: readonly string[] = ["SIGABRT", "SIGBUS", "SIGFPE", "SIGILL", "SIGSEGV", "SIGTRAP", "SIGSYS"];
const CRASH_LOG = /^(FATAL ERROR|# Fatal|#\s*$)|Fatal JavaScript/m;
const LOG_SHOWN = 400;
/** Of the end of a log, in which the last words are looked for. */
const LOG_BYTES_MAX = 64 * 1024;

type Followed = Pick<TakenWorker, "folder" | "id" | "cgroup"> &
  Partial<Pick<TakenWorker, "apart" | "goOn">> & { exited: Promise<Exit> | null; isApart?: boolean };

export class Guest {
  readonly id: ProcessId;
  readonly ended: Promise<GuestEnd>;
  #finish!: (end: GuestEnd) => void;
  readonly #worker: Followed;
  /** Reads what the guest left while it lies where the process has it. */
  readonly #atEnd: () => Promise<void>;
  /** Where what it hands in lies. */
  #folder: string;
  #kept: Kept;
  /** Under way where the process has its files. */
  readonly #reads = new Set<Promise<Uint8Array>>();
  #over = false;
  #stopping = false;
  /** It was told something from outside, or was to be ended: whatever comes late must not meet a later job. */
  #isTold = false;
  /** Its process goes on with another job, and is no concern of this one's any more. */
  #isFree: boolean;
  #afterwards = Promise.resolve();
  #exit: Exit | null = null;
  #changed: () => void = () => {};
  readonly #watcher: FSWatcher;
  readonly #timer: NodeJS.Timeout;
  #checking = false;
  #again = false;

  constructor(worker: Followed, atEnd: () => Promise<void> = async () => {}) {
    this.#worker = worker;
    this.#atEnd = atEnd;
    this.id = worker.id;
    this.#folder = worker.folder;
    this.#isFree = worker.isApart === true;
    this.#kept = new Kept(this.#folder);
    this.ended = new Promise((resolve) => (this.#finish = resolve));
    this.#watcher = watch(this.#folder, () => void this.#check());
    this.#timer = setInterval(() => void this.#check(), POLL_MS);
    void worker.exited?.then((exit) => {
      this.#exit = exit;
      return this.#check();
    });
    void this.#check();
  }

  /** Once it has ended, what it left lies where it stays, and its process waits for another job or is let go. */
  get settled(): Promise<void> {
    return this.ended.then(() => this.#afterwards);
  }

  get folder(): string {
    return this.#folder;
  }

  /** Called whenever there may be new output. */
  onChange(changed: () => void): void {
    this.#changed = changed;
  }

  read(stream: "stdout" | "stderr", offset: number): Promise<Uint8Array> {
    return this.#noted(readGuestFile(this.#folder, stream satisfies HandedIn, offset, CHUNK_BYTES));
  }

  /** A part of a file that it left, or of a state, by its digest; empty before it has handed in. */
  readKept(digest: string, offset: number, length: number): Promise<Uint8Array> {
    return this.#noted(this.#kept.read(digest, offset, length));
  }

  async #noted(read: Promise<Uint8Array>): Promise<Uint8Array> {
    this.#reads.add(read);
    try {
      return await read;
    } finally {
      this.#reads.delete(read);
    }
  }

  async #check(): Promise<void> {
    if (this.#over) return;
    if (this.#checking) {
      this.#again = true;
      return;
    }
    this.#checking = true;
    do {
      this.#again = false;
      // one that is gone may have handed in since it was looked for there
      const end =
        (await this.#handedIn()) ?? ((await isAlive(this.id)) ? null : ((await this.#handedIn()) ?? (await this.#withoutResult())));
      if (end) this.#end(end);
      this.#changed();
    } while (this.#again && !this.#over);
    this.#checking = false;
  }

  /** Why a process that is gone handed in nothing. */
  async #withoutResult(): Promise<GuestEnd> {
    const { cgroup } = this.#worker;
    if (this.#stopping || this.#has(WORKER_FILES.killed)) return { kind: "stopped" };
    // an honest one meets the engine's limits first (bounds.ts)
    if (cgroup !== null && (await wasOutOfMemory(cgroup)))
      return { kind: "crashed", detail: "the guest's process took more memory than any job of its size can" };
    const log = await guestTextEnd(this.#folder, WORKER_FILES.log, LOG_BYTES_MAX);
    const signal = this.#exit?.signal ?? "";
    if (CRASHES.includes(signal) || CRASH_LOG.test(log))
      return {
        kind: "crashed",
        detail: `the guest's process broke${signal && ` (${signal})`}: ${log.trim().slice(0, LOG_SHOWN) || "it said nothing"}`,
      };
    return { kind: "host-failure", detail: log.trim().slice(-LOG_SHOWN) || "the guest's process was killed" };
  }

  /** Null while it is not whole. It is read once: a second time it would cost the daemon as much again. */
  async #handedIn(): Promise<GuestEnd | null> {
    if (!progressOf(this.#folder).isHandedIn) return null;
    const file: HandedIn = "result.json";
    const size = statGuestFile(this.#folder, file)?.size ?? 0;
    try {
      if (size > RESULT_BYTES_MAX) throw new Error(`it is larger than ${RESULT_BYTES_MAX} bytes`);
      const bytes = await readGuestFile(this.#folder, file, 0, size);
      return { kind: "finished", result: JSON.parse(Buffer.from(bytes).toString("utf8")) as WorkerResult };
    } catch (error) {
      await this.kill();
      return { kind: "crashed", detail: `what the guest's process handed in cannot be read: ${messageOf(error).slice(0, LOG_SHOWN)}` };
    }
  }

  #end(end: GuestEnd): void {
    this.#over = true;
    this.#watcher.close();
    clearInterval(this.#timer);
    const { apart, goOn } = this.#worker;
    const isWell = end.kind === "finished" && WELL.includes(end.result.ending);
    if (isWell && apart && goOn && !this.#isTold && isSmall(this.#folder)) {
      this.#isFree = true;
      this.#afterwards = this.#setFree(apart, goOn).catch(() => {}); // the pool ends what cannot go on
    } else if (!this.#isFree) this.#afterwards = this.#letGo();
    this.#finish(end);
  }

  /** What it left stays as long as anybody may ask for it, its share of the machine does not; `dispose` tries again. */
  async #letGo(): Promise<void> {
    const { cgroup, id } = this.#worker;
    // one that could have had another job waits for it
    await signalWorker(id, "SIGKILL").catch(() => {});
    if (cgroup !== null) void removeCgroup(cgroup).catch(() => {});
    await this.#atEnd().catch(() => {});
  }

  async #setFree(apart: string, goOn: () => Promise<void>): Promise<void> {
    await this.#atEnd().catch(() => {});
    const { folder } = this.#worker;
    try {
      await setApart(folder, apart);
    } catch {
      this.#isFree = false;
      await rm(apart, { recursive: true, force: true });
      return this.kill();
    }
    this.#folder = apart;
    this.#kept = new Kept(apart);
    // one that began before would find files that were emptied, and be taken for all that the job left
    await Promise.allSettled(this.#reads);
    await goOn();
  }

  /** Has the guest end before its next call and hand in what it has; interrupts one that makes none, kills one that hands in nothing. */
  async stop(): Promise<void> {
    this.#isTold = true;
    const beginBy = Date.now() + BEGIN_WITHIN_MS;
    let stopAt: { interrupt: number; kill: number; last: number } | null = null;
    let seen = progressOf(this.#folder).shownAtMs;
    const interrupt = async (): Promise<void> => {
      if (this.#over) return clearInterval(timer);
      // a process that is still starting would end with nothing
      if (stopAt === null && Date.now() < beginBy && !progressOf(this.#folder).hasBegun) return;
      this.#stopping = true;
      if (stopAt === null) placeMarker(this.#folder, WORKER_FILES.stop);
      stopAt ??= {
        interrupt: Date.now() + STOP_WITHIN_MS,
        kill: Date.now() + KILL_AFTER_MS,
        last: Date.now() + HAND_IN_WITHIN_MS,
      };
      const sign = progressOf(this.#folder).shownAtMs;
      if (sign !== seen) stopAt.kill = Math.min(Date.now() + KILL_AFTER_MS, stopAt.last);
      seen = sign;
      await signalWorker(this.id, "SIGCONT");
      if (Date.now() < stopAt.interrupt) return;
      if (Date.now() < stopAt.kill) return signalWorker(this.id, "SIGINT");
      placeMarker(this.#folder, WORKER_FILES.killed); // a later daemon would not know who did it
      await signalWorker(this.id, "SIGKILL");
    };
    // again and again: one that comes while the job is made ready is lost
    const timer = setInterval(() => void interrupt().catch(() => {}), INTERRUPT_EVERY_MS);
    await interrupt();
  }

  #has(name: string): boolean {
    return statGuestFile(this.#folder, name) !== null;
  }

  async kill(): Promise<void> {
    await this.#signal("SIGKILL");
  }

  signal(signal: "SIGSTOP" | "SIGCONT"): Promise<void> {
    return this.#signal(signal);
  }

  async #signal(signal: "SIGSTOP" | "SIGCONT" | "SIGKILL"): Promise<void> {
    if (this.#isFree) return;
    this.#isTold = true;
    await signalWorker(this.id, signal);
  }

  /** Stops following it; the process runs on. */
  release(): void {
    this.#over = true;
    this.#watcher.close();
    clearInterval(this.#timer);
  }

  /** Removes what is left of it, and ends what still runs for it. */
  async dispose(): Promise<void> {
    await this.#afterwards;
    if (this.#isFree) await rm(this.#folder, { recursive: true, force: true });
    else await removeWorker(this.#worker.folder, this.#worker.cgroup);
  }
}

export const followTaken = (worker: TakenWorker, atEnd?: () => Promise<void>): Guest => new Guest(worker, atEnd);

/** Which of a worker's jobs its folder is of; null before it had any. The daemon alone writes there, and may be killed as it does. */
function jobIn(folder: string): string | null {
  try {
    return readFileSync(path.join(folder, WORKER_FILES.job), "utf8") || null;
  } catch (error) {
    if (codeOf(error) === "ENOENT") return null;
    throw error;
  }
}

/**
 * Whether the process ended before it had its job, which came from the daemon that was killed. One that was handed it, and lives, begins as
 * soon as it has its turn; one that does not within the time that any has is followed as it is.
 */
async function neverBegan(folder: string, job: string | null, id: ProcessId): Promise<boolean> {
  const by = Date.now() + BEGIN_WITHIN_MS;
  do {
    const lives = await isAlive(id);
    if (progressOf(folder).hasBegun || statGuestFile(folder, WORKER_FILES.killed) !== null) return false;
    if (job === null) return true;
    if (!lives) return !CRASH_LOG.test(await guestTextEnd(folder, WORKER_FILES.log, LOG_BYTES_MAX));
    await sleep(BEGIN_POLL_MS);
  } while (Date.now() < by);
  return false;
}

/**
 * A guest started by an earlier daemon: alive, or ended with a result in its folder, or with one that was set apart before its process went
 * on; anything else ends as a host failure. Null where it never began: nothing of it is left then. `apart`: as the worker named it. Throws
 * where its files have gone.
 */
export async function adopt(apart: string, id: ProcessId, limits: Limits): Promise<Guest | null> {
  const { folder, isApart } = placeOf(apart);
  if (isApart) return new Guest({ folder, id, isApart, cgroup: null, exited: null });
  const job = jobIn(folder);
  if (job !== null && folder !== apart && job !== path.basename(apart)) throw new Error("what was left of the guest has gone");
  const cgroup = groupOf(limits, folder);
  if (statGuestFile(folder, "progress" satisfies HandedIn) !== null && (await neverBegan(folder, job, id))) {
    await signalWorker(id, "SIGKILL");
    await removeWorker(folder, cgroup);
    return null;
  }
  return new Guest({ folder, id, isApart, cgroup, exited: null });
}
