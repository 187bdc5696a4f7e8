/**
 * Several runs of one module, one after the other: each has an instance, files, seed and clock of its own, and what they use is counted
 * together. Where the whole is stopped from outside, or meets a limit, a repetition with the fuel that was used for its limit comes to the
 * same: so after an end whose fuel is not exact nothing follows.
 */
import { notesOf, type Ending, type Finished, type Job } from "./machine.ts";
import { PAGE_BYTES } from "./memory-hash.ts";
import { preparationFuel } from "./preparation.ts";
import { runJob } from "./run.ts";

/** What it costs to begin another run: an instance and its files. So one that was begun has always used something. */
export const RUN_FUEL = 4_000_000n;
/** One job's memory is looked through at its end for nothing, as much as any may have; all runs together have that much. */
const FREE_PAGES = 65_536;
/** To look through one page more, 15 to 45 microseconds. It is paid as the next run begins, which is refused if that is too much. */
const PAGE_FUEL = 200_000n;

/** What an end of one run means for the others. `next`: they follow. `last`: it counts, and none follows. `cut`: it does not count. */
const FOLLOWS: Readonly<Record<Ending["kind"], "next" | "last" | "cut">> = {
  exit: "next",
  // what was used since the last call or finished loop is not counted: a limit below that would end it elsewhere
  trap: "last",
  "memory-limit": "last",
  // met for what others had used, too
  "fuel-limit": "cut",
  "output-limit": "cut",
  malformed: "cut",
  refused: "cut",
  stopped: "cut",
};

/** One that counts. */
export interface RunDone {
  ending: Ending;
  /** With what beginning it costs, and making the module ready where it is the first. */
  fuel: bigint;
  memoryHash: Uint8Array | null;
  stdoutBytes: number;
  stderrBytes: number;
}

export interface RunsFinished {
  /** Of the whole: by itself, with 0, where what ended it counts. */
  ending: Ending;
  /** Of all; 0 where the host interrupted one inside a call of its own. */
  fuel: bigint;
  /** Over those of all that were begun, in their order; null where one has none. */
  memoryHash: Uint8Array | null;
  done: RunDone[];
}

export interface Runs {
  /** The jobs in their order; all have the same module and limits, of which what is left is taken. */
  jobs: readonly (() => Job)[];
  /** Of all together. */
  fuelMax: bigint;
  streamBytesMax: number;
  /** Takes what a run that counts has left; false: that is more than may be left, and the run does not count. */
  keep(index: number, finished: Finished): boolean;
}

const BY_ITSELF: Ending = { kind: "exit", code: 0 };

/** One run, by what is left of it when its instance and files are gone. */
interface Did {
  ending: Ending;
  isHalf: boolean;
  fuel: bigint;
  memoryHash: Uint8Array | null;
  stdoutBytes: number;
  stderrBytes: number;
  memoryPages: number;
  /** All that it left is kept. */
  isKept: boolean;
}

type Left = Pick<Job, "fuelMax" | "streamBytesMax">;

/** Nothing of it is held beyond this call. */
function runOne(job: Job, left: Left, keep: (finished: Finished) => boolean, invoke: Parameters<typeof runJob>[1]): Did {
  const printed = { stdout: 0, stderr: 0 };
  const counting = (stream: "stdout" | "stderr") => (bytes: Uint8Array) => {
    printed[stream] += bytes.length;
    job[stream](bytes);
  };
  // making the module ready was paid for by the first
  const own = { ...job, ...left, comesWithEngine: true, stdout: counting("stdout"), stderr: counting("stderr") };
  const finished = runJob(own, invoke);
  const { ending, isHalf, fuel, memoryHash } = finished;
  const isKept = FOLLOWS[ending.kind] !== "cut" && keep(finished);
  const memoryPages = finished.memoryBytes / PAGE_BYTES;
  return { ending, isHalf, fuel, memoryHash, memoryPages, isKept, stdoutBytes: printed.stdout, stderrBytes: printed.stderr };
}

/** Of those beyond what is free, what `more` cost after `before`. */
const pageFuel = (before: number, more: number): bigint =>
  PAGE_FUEL * BigInt(Math.max(0, before + more - FREE_PAGES) - Math.max(0, before - FREE_PAGES));

/** Null where one has none. */
function hashOf(hashes: readonly (Uint8Array | null)[], sha256: Job["sha256"]): Uint8Array | null {
  const known = hashes.flatMap((hash) => (hash === null ? [] : [...hash]));
  return hashes.length === 0 || hashes.includes(null) ? null : sha256(Uint8Array.from(known));
}

export function runJobs({ jobs, fuelMax, streamBytesMax, keep }: Runs, invoke: Parameters<typeof runJob>[1]): RunsFinished {
  const done: RunDone[] = [];
  const hashes: (Uint8Array | null)[] = [];
  let [fuel, streamed, counted, pages] = [0n, 0, 0n, 0];
  let sha256: Job["sha256"] = (bytes) => bytes;
  const over = (ending: Ending): RunsFinished => ({ ending, fuel, memoryHash: hashOf(hashes, sha256), done });
  for (const [index, jobOf] of jobs.entries()) {
    const job = jobOf();
    ({ sha256 } = job);
    if (index === 0 && job.comesWithEngine !== true) fuel += preparationFuel(notesOf(job.module).madeFrom);
    fuel += RUN_FUEL;
    if (fuel >= fuelMax) return { ...over({ kind: "fuel-limit" }), fuel: fuelMax };
    const left: Left = { fuelMax: fuelMax - fuel, streamBytesMax: streamBytesMax - streamed };
    const did = runOne(job, left, (finished) => keep(index, finished), invoke);
    const { ending, memoryHash, stdoutBytes, stderrBytes } = did;
    hashes.push(memoryHash);
    streamed += stdoutBytes + stderrBytes;
    // it was interrupted inside a call: what it has come to is no other run's
    if (did.isHalf) return { ...over(ending), fuel: 0n };
    fuel += did.fuel;
    if (FOLLOWS[ending.kind] === "cut") return over(ending);
    if (!did.isKept) return over({ kind: "output-limit" });
    done.push({ ending, fuel: fuel - counted, memoryHash, stdoutBytes, stderrBytes });
    counted = fuel;
    if (FOLLOWS[ending.kind] === "last" || index === jobs.length - 1) break;
    fuel += pageFuel(pages, did.memoryPages);
    pages += did.memoryPages;
  }
  return over(BY_ITSELF);
}
