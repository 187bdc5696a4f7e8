/** What the daemon hands a waiting worker (a line of JSON on standard input for each job) and what the worker hands in. */

export interface TreeManifestEntry {
  path: string;
  kind: "file" | "directory" | "link";
  /** File: sha256 of its bytes, hex. */
  digest?: string;
  size?: number;
  /** Link: where it points. */
  target?: string;
}

interface WorkerMount {
  path: string;
  writable: boolean;
  /** Whether what is left there travels back. */
  keep: boolean;
}

/** Shows the root of the state at each breakpoint, and keeps the states themselves as long as there is room. */
export interface TraceJob {
  kind: "trace";
  /** Decimal integer. */
  step: string;
  keepBytesMax: number;
}

/** Runs from one breakpoint to another. */
export interface SegmentJob {
  kind: "segment";
  /** Digest of the state's manifest, a blob like the pieces that it names; null for the job's beginning. */
  from: string | null;
  step: string;
  index: number;
}

/** One of several runs of a job's module; the job's own arguments, environment, input and seed are then of none. */
export interface WorkerRun {
  args: string[];
  env: [string, string][];
  /** Digest of the bytes of standard input. */
  stdin: string;
  seed: string;
}

export interface WorkerJob {
  /** Digest of the customer's module: a process that ran it last needs it no more. */
  module: string;
  /** As the worker sees it: `/runtimes/NAME.wasm`, or below its own folder, as `blobs/DIGEST`. */
  modulePath: string;
  /** Whether the module is one that `prepareModule` made, without breakpoints: the server's own runtimes are. */
  prepared: boolean;
  /** Whether the module is one of the server's own runtimes, which come with the engine. */
  comesWithEngine: boolean;
  /** Hand in the module as `prepareModule` made it, for later jobs of the same module. */
  keepPrepared: boolean;
  /**
   * Hand in the module's machine code too, where there was none yet or much was added: for jobs of this very module, of the same customer
   * and judged by nobody.
   */
  keepCode?: boolean;
  args: string[];
  env: [string, string][];
  /** Paths below the guest's root; each lies in one mount. Of several runs: behind the number of the run that they are of. */
  inputs: TreeManifestEntry[];
  mounts: WorkerMount[];
  /** Names of what the guest finds open, each with the path of its mount. */
  preopens: [name: string, path: string][];
  /** Digest of the bytes of standard input. */
  stdin: string;
  seed: string;
  clockBaseMs: number;
  memoryMibMax: number;
  diskMibMax: number;
  outputMibMax: number;
  /** Decimal integer. */
  fuelMax: string;
  /** Of a job of several runs; `file`: where what each came to is listed in what is left. Absent: it is one run. */
  runs?: { list: WorkerRun[]; file: string };
  /** Nobody compares the result: the memory at its end is not hashed. Of one run. */
  unjudged?: boolean;
  /** Null for a plain run. Both others use the build with breakpoints. */
  breakpoints: TraceJob | SegmentJob | null;
  /** A backstop when the daemon is gone: the longest the owner ever lets a guest run. */
  runMsMax: number;
}

export interface WorkerResult {
  /** `refused`: what was brought does not fit what was ordered; nothing ran. */
  ending:
    | "exit"
    | "trap"
    | "segment-end"
    | "fuel-limit"
    | "output-limit"
    | "memory-limit"
    | "malformed"
    | "refused"
    | "stopped"
    | "timeout";
  exitCode: number | null;
  detail: string;
  /** Decimal integer; of a segment, what was used in it. */
  fuel: string;
  /** Of the job up to here; decimal integer. */
  fuelInAll: string;
  /** Of a trace: the state's root at each breakpoint. Null where the job has no build with breakpoints. */
  roots: string[] | null;
  /** Of a segment that reached its end: the state's root there. */
  stateRoot: string | null;
  /** Hex; null when the host stopped the guest, or it never started, or where nobody compares it. */
  memoryHash: string | null;
  /** System-wide monotonic clock when the guest ended, in ms. */
  endedMonotonicMs: number;
  tree: TreeManifestEntry[];
}

/** Names a prepared module that the worker compiles while it waits. */
export const PRELOAD_VARIABLE = "XENO_PRELOAD";

/** A guest that calls out ends by itself so soon after it is told to; only one that does not is interrupted. */
export const STOP_WITHIN_MS = 400;

/** Names in a worker's folder, seen as /w from inside, beside what it hands in (handing.ts). */
export const WORKER_FILES = {
  blobs: "blobs",
  log: "worker.log",
  /** The daemon's: the guest is to end before its next call. */
  stop: "stop",
  /** The daemon's: it ended the process because it had been told to stop it. */
  killed: "killed",
  /** The daemon's: which of the jobs of this process the files are of. */
  job: "job",
} as const;
