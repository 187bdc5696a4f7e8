/**
 * One job of a guest's process: read, run in the engine, handed in by files that were opened for it. All that belongs to the job is made
 * for it and goes with it: its instance, its files in memory, its limits. A guest that is stopped, or whose time is over, ends before its
 * next call, or is interrupted; either way its files in memory are readable: what was written so far still travels back. Who controls the
 * inputs: the customer (module, files), the daemon (limits, paths).
 */
import { BadState, runJob, seededRandom, type Finished, type Job, type TreeEntry } from "@xenoservers/engine";
import { piecesOf, readWhole } from "./files.ts";
import { HandIn, Keeping } from "./handing.ts";
import { WORKER_FILES, type TreeManifestEntry, type WorkerJob, type WorkerResult, type WorkerRun } from "./job.ts";
import { codeAtEnd, type Modules } from "./modules.ts";
import { Outside, monotonicMs } from "./outside.ts";
import { describe, handIn, kept, shortened } from "./result.ts";
import { SeveralRuns, detailOf, prefixOf } from "./several-runs.ts";
import { sha256 } from "./of-node.ts";

const MIB = 1024 * 1024;
const WASM_PAGES_PER_MIB = 16;
const ALIVE_EVERY_MS = 500;
/** Of what ran for less, no machine code is written again: that would be seen in what the job takes. */
const CODE_AFTER_MS = 1_000;
/** So much larger it is worth keeping in place of what there is. */
const CODE_MORE = 1.1;

/** A result without its tree, which is written last; and the tree. */
interface Came {
  result: Omit<WorkerResult, "tree">;
  tree: Iterable<TreeManifestEntry>;
}
const NOTHING = { exitCode: null, fuel: "0", fuelInAll: "0", roots: null, stateRoot: null, memoryHash: null } as const;
const unfit = (ending: "malformed" | "memory-limit", message: string): Came => ({
  result: { ...NOTHING, ending, detail: shortened(message), endedMonotonicMs: monotonicMs() },
  tree: [],
});

export class JobRun {
  readonly #folder: string;
  readonly #modules: Pick<Modules, "of">;
  readonly #job: WorkerJob;
  readonly #read: typeof readWhole;
  readonly #handing: HandIn;
  readonly #keeping: Keeping;
  #aliveAt = monotonicMs();
  #made: Uint8Array | null = null;
  /** Of its end, where it is to be handed in. */
  #code: Uint8Array | null = null;

  /** `handing`, `read`: where it hands in, and how standard input is read, where that is nobody's job (warm-up.ts). */
  constructor(folder: string, modules: Pick<Modules, "of">, job: WorkerJob, { handing = new HandIn(), read = readWhole } = {}) {
    this.#folder = folder;
    this.#modules = modules;
    this.#job = job;
    this.#read = read;
    this.#handing = handing;
    this.#keeping = new Keeping(handing);
  }

  /** Runs it, and hands in what came of it. */
  async handIn(): Promise<void> {
    const { breakpoints, keepPrepared } = this.#job;
    this.#handing.progress("begun");
    const { result, tree } = breakpoints === null ? this.#run() : await this.#runWithBreakpoints(breakpoints);
    if (this.#made && keepPrepared) this.#handing.append("prepared.wasm", this.#made);
    if (this.#code) this.#handing.append("prepared.code", this.#code);
    handIn(result, tree, this.#handing);
  }

  #alive(): void {
    if (monotonicMs() - this.#aliveAt < ALIVE_EVERY_MS) return;
    this.#aliveAt = monotonicMs();
    this.#handing.progress("begun");
  }

  #blobFile(digest: string): string {
    return `${this.#folder}/${WORKER_FILES.blobs}/${digest}`;
  }

  /** Read one after the other while they are placed. `of`: what stands before the paths of the run that it is of. */
  *#entriesBelow(mount: string, of: string): Generator<TreeEntry> {
    const prefix = `${of}${mount.slice(1)}/`;
    for (const entry of this.#job.inputs) {
      if (!entry.path.startsWith(prefix)) continue;
      const path = entry.path.slice(prefix.length);
      const { size = 0, digest = "", target = "" } = entry;
      if (entry.kind === "file") yield { path, kind: "file", size, chunks: () => piecesOf(this.#blobFile(digest)) };
      else yield entry.kind === "link" ? { path, kind: "link", target } : { path, kind: "directory" };
    }
  }

  #engineJob(module: WebAssembly.Module, run: WorkerRun = this.#job, of = ""): Job {
    const job = this.#job;
    const stdin = this.#read(this.#blobFile(run.stdin));
    return {
      module,
      comesWithEngine: job.comesWithEngine,
      world: {
        args: run.args,
        env: run.env,
        clockBaseNs: BigInt(job.clockBaseMs) * 1_000_000n,
        random: seededRandom(Buffer.from(run.seed, "hex")),
      },
      mounts: job.mounts.map(({ path, writable }) => ({ path, writable, entries: this.#entriesBelow(path, of) })),
      preopens: job.preopens.map(([name, path]) => ({ name, path })),
      stdin,
      fuelMax: BigInt(job.fuelMax),
      memoryPagesMax: job.memoryMibMax * WASM_PAGES_PER_MIB,
      // standard input lies in the same memory as the files
      diskBytesMax: Math.max(0, job.diskMibMax * MIB - stdin.length),
      streamBytesMax: job.outputMibMax * MIB,
      // of a run with breakpoints nothing is handed in before its end: nobody waits for it
      sha256: job.breakpoints === null ? (bytes) => (this.#alive(), sha256(bytes)) : sha256,
      stdout: (bytes) => this.#handing.append("stdout", bytes),
      stderr: (bytes) => this.#handing.append("stderr", bytes),
    };
  }

  #cameOf({ ending, fuel, memoryHash, treeAt }: Finished, interrupted: "stopped" | "timeout", from: bigint): Came {
    const result = {
      ...NOTHING,
      ...describe(ending, interrupted),
      fuel: (fuel - from).toString(),
      fuelInAll: fuel.toString(),
      memoryHash: memoryHash && Buffer.from(memoryHash).toString("hex"),
      endedMonotonicMs: monotonicMs(),
    };
    const mounts = ending.kind === "refused" ? [] : this.#keptMounts();
    return { result, tree: kept(mounts, treeAt, this.#keeping, () => this.#alive()) };
  }

  #keptMounts(): string[] {
    return this.#job.mounts.filter((each) => each.keep).map(({ path }) => path);
  }

  #run(): Came {
    const built = this.#modules.of(this.#job);
    if (!built.ok) return unfit(built.kind, built.message);
    this.#made = built.made ?? null;
    const outside = new Outside(this.#job.runMsMax, `${this.#folder}/${WORKER_FILES.stop}`);
    const { runs } = this.#job;
    if (runs) return this.#runAll(built.module, runs, outside);
    const guest: Job = { ...this.#engineJob(built.module), unjudged: this.#job.unjudged ?? false, isStopped: () => outside.isStopped() };
    const begun = monotonicMs();
    let called: (() => void) | null = null;
    const finished = runJob(guest, (start, entry) => {
      called = entry;
      return outside.interruptible(start);
    });
    const isWorthIt = built.codeBytes === 0 || monotonicMs() - begun > CODE_AFTER_MS;
    if (this.#job.keepCode && called !== null && finished.ending.kind === "exit" && isWorthIt) {
      const code = codeAtEnd(called, built.module);
      if (code.length > built.codeBytes * CODE_MORE) this.#code = code;
    }
    return this.#cameOf(finished, outside.by, 0n);
  }

  #runAll(module: WebAssembly.Module, { list, file }: NonNullable<WorkerJob["runs"]>, outside: Outside): Came {
    const runs = new SeveralRuns(this.#job, this.#keeping, () => this.#alive());
    const { finished, tree } = runs.run(
      list.map((run, index) => () => ({
        ...this.#engineJob(module, run, prefixOf(index)),
        isStopped: () => outside.isStopped(),
      })),
      { mounts: this.#keptMounts(), file, invoke: (start) => outside.interruptible(start) },
    );
    const { ending, fuel, memoryHash } = finished;
    const result = {
      ...{ ...NOTHING, ...describe(ending, outside.by), ...detailOf(finished) },
      ...{ fuel: fuel.toString(), fuelInAll: fuel.toString() },
      memoryHash: memoryHash && Buffer.from(memoryHash).toString("hex"),
      endedMonotonicMs: monotonicMs(),
    };
    return { result, tree };
  }

  /** For disputes alone. */
  async #runWithBreakpoints(breakpoints: NonNullable<WorkerJob["breakpoints"]>): Promise<Came> {
    if (this.#job.runs) return unfit("malformed", "a job of several runs has no breakpoints");
    const { segment, trace } = await import("./breakpoints.ts");
    const built = this.#modules.of(this.#job);
    if (!built.ok) return unfit(built.kind, built.message);
    const job = this.#engineJob(built.module);
    try {
      if (breakpoints.kind === "trace") {
        const { finished, roots } = trace(job, breakpoints, (digest, bytes) => this.#keeping.keepState(digest, bytes));
        const came = this.#cameOf(finished, "stopped", 0n);
        return { ...came, result: { ...came.result, roots } };
      }
      const blob = (digest: string): Uint8Array => readWhole(this.#blobFile(digest));
      const { finished, stateRoot, fuel, from } = segment(job, breakpoints, blob);
      if (finished) return this.#cameOf(finished, "stopped", from);
      const used = { fuel: (fuel - from).toString(), fuelInAll: fuel.toString() };
      return { result: { ...NOTHING, ...used, ending: "segment-end", detail: "", stateRoot, endedMonotonicMs: monotonicMs() }, tree: [] };
    } catch (error) {
      if (error instanceof BadState) return unfit("malformed", error.message);
      throw error;
    }
  }
}
