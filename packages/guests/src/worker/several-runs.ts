/**
 * A job of several runs of one module: what each printed stands behind what those before it printed, what each left lies behind its number,
 * and what each came to is listed in one file. A run counts, and is listed, where all of it is kept. Who controls the inputs: the customer.
 */
import { LIMITS, runJobs, type Finished, type Job, type RunDone, type Runs, type RunsFinished } from "@xenoservers/engine";
import type { Keeping } from "./handing.ts";
import type { TreeManifestEntry, WorkerJob } from "./job.ts";
import { collect } from "./collect.ts";
import { describe, kept, shortened } from "./result.ts";
import { newSha256 } from "./of-node.ts";

const MIB = 1024 * 1024;
/** So much of the memory of runs that are over may wait to be given back. */
const UNUSED_BYTES_MAX = 64 * MIB;
/** Of what a result lists (protocol/src/channel/channel-messages.ts). */
const PATH_MAX = 4096;

/** What stands before the paths of a run's files. */
export const prefixOf = (index: number): string => `${index}/`;

/** Of the one that ended all of them: why, in the engine's words. */
export function detailOf({ ending, done }: RunsFinished): { detail: string } {
  const last = done.at(-1)?.ending;
  const { detail } = describe(ending, "stopped");
  if (ending.kind !== "exit" || last === undefined) return { detail };
  const why = describe(last, "stopped").detail;
  return { detail: why === "" ? "" : shortened(`run ${done.length - 1}: ${why}`) };
}

type Stream = "stdout" | "stderr";
type Hashes = Record<Stream, ReturnType<typeof newSha256>>;

/** How it is run: which folders are kept, where it is listed, how the engine calls. */
interface Ways {
  mounts: readonly string[];
  file: string;
  invoke: Parameters<typeof runJobs>[1];
}

export class SeveralRuns {
  readonly #job: Pick<WorkerJob, "diskMibMax" | "outputMibMax" | "fuelMax">;
  readonly #keeping: Keeping;
  readonly #alive: () => void;
  readonly #tree: TreeManifestEntry[] = [];
  readonly #hashes: Hashes[] = [];
  #keptBytes = 0;
  #unusedBytes = 0;

  constructor(job: Pick<WorkerJob, "diskMibMax" | "outputMibMax" | "fuelMax">, keeping: Keeping, alive: () => void) {
    this.#job = job;
    this.#keeping = keeping;
    this.#alive = alive;
  }

  run(jobs: readonly (() => Job)[], { mounts, file, invoke }: Ways): { finished: RunsFinished; tree: TreeManifestEntry[] } {
    const runs: Runs = {
      jobs: jobs.map((jobOf, index) => () => {
        this.#giveBack();
        return this.#hashing(jobOf(), index);
      }),
      fuelMax: BigInt(this.#job.fuelMax),
      streamBytesMax: this.#job.outputMibMax * MIB,
      keep: (index, ran) => this.#keep(index, ran, mounts),
    };
    const finished = runJobs(runs, invoke);
    return { finished, tree: [this.#list(file, finished.done), ...this.#tree] };
  }

  /** What runs that are over took of memory would count beside the next one's. */
  #giveBack(): void {
    if (this.#unusedBytes < UNUSED_BYTES_MAX) return;
    this.#unusedBytes = 0;
    collect();
  }

  #hashing(job: Job, index: number): Job {
    const hashes = (this.#hashes[index] = { stdout: newSha256(), stderr: newSha256() });
    const through = (stream: Stream) => (bytes: Uint8Array) => {
      hashes[stream].update(bytes);
      job[stream](bytes);
    };
    return { ...job, stdout: through("stdout"), stderr: through("stderr") };
  }

  /** All together may leave as much as one alone: its files are counted before any is kept. */
  #keep(index: number, { treeAt, memoryBytes }: Finished, mounts: readonly string[]): boolean {
    let [bytes, entries] = [this.#keptBytes, this.#tree.length + 1];
    let longest = 0;
    for (const mount of mounts)
      for (const entry of treeAt(mount)) {
        entries++;
        longest = Math.max(longest, prefixOf(index).length + mount.length + entry.path.length);
        if (entry.kind === "file") bytes += entry.size;
      }
    if (entries > LIMITS.ENTRIES_MAX || longest > PATH_MAX || (index > 0 && bytes > this.#job.diskMibMax * MIB)) return false;
    this.#unusedBytes += memoryBytes + bytes - this.#keptBytes;
    this.#keptBytes = bytes;
    for (const entry of kept(mounts, treeAt, this.#keeping, this.#alive))
      this.#tree.push({ ...entry, path: `${prefixOf(index)}${entry.path}` });
    return true;
  }

  /** Nothing that only one machine would say is in it: it is signed, and compared. */
  #list(path: string, done: readonly RunDone[]): TreeManifestEntry {
    const lines = done.map(({ ending, fuel, memoryHash, stdoutBytes, stderrBytes }, index) => {
      const { stdout, stderr } = this.#hashes[index]!;
      return {
        ...{ ending: ending.kind, exitCode: describe(ending, "stopped").exitCode, fuel: fuel.toString() },
        memoryHash: memoryHash && Buffer.from(memoryHash).toString("hex"),
        ...{ stdoutBytes, stdoutDigest: stdout.digest("hex"), stderrBytes, stderrDigest: stderr.digest("hex") },
      };
    });
    const bytes = Buffer.from(JSON.stringify(lines));
    const digest = newSha256().update(bytes).digest("hex");
    this.#keeping.keep(digest, [bytes]);
    return { path, kind: "file", digest, size: bytes.length };
  }
}
