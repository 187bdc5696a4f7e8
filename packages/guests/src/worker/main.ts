/**
 * A single-use guest process: waits for one job on stdin, runs it in the engine, hands in what came by files that were opened for it, ends.
 * It runs in an empty root without network. Standard output is written to a file as it comes, so that it survives this process and the
 * daemon. A guest that is stopped, or whose time is over, ends before its next call; it runs under node:vm so that SIGINT and the backstop
 * timeout interrupt even a tight loop. Either way the in-memory files are readable: what was written so far still travels back.
 */
import { createHash } from "node:crypto";
import { existsSync, readFile as readFileOf, writeSync } from "node:fs";
import { promisify } from "node:util";
import vm from "node:vm";
import { BadState, prepareModule, runJob, seededRandom, type Finished, type Job, type TreeEntry } from "@xenoservers/engine";
import { boundsOf } from "./bounds.ts";
import { piecesOf, readWhole, writeAll } from "./files.ts";
import { Keeping, descriptorOf, progress } from "./handing.ts";
import { HOLD, hold } from "./hold.ts";
import { PRELOAD_VARIABLE, STOP_WITHIN_MS, WORKER_FILES, type TreeManifestEntry, type WorkerJob, type WorkerResult } from "./job.ts";
import { describe, handIn, kept, shortened } from "./result.ts";

const FOLDER = process.argv[2] ?? "/w";
const MIB = 1024 * 1024;
const WASM_PAGES_PER_MIB = 16;
/** The longest that the platform lets a script be limited to. */
const TIMEOUT_MS_MAX = 2 ** 32 - 1;
const ALIVE_EVERY_MS = 500;
const LOOK_EVERY_MS = 50;
const WARM_UP_AFTER_MS = 150;

const monotonicMs = (): number => Number(process.hrtime.bigint() / 1_000n) / 1_000;
const sha256 = (bytes: Uint8Array): Uint8Array => createHash("sha256").update(bytes).digest();
const blobFile = (digest: string): string => `${FOLDER}/${WORKER_FILES.blobs}/${digest}`;
const blob = (digest: string): Uint8Array => readWhole(blobFile(digest));

let aliveAt = 0;
function alive(): void {
  if (monotonicMs() - aliveAt < ALIVE_EVERY_MS) return;
  aliveAt = monotonicMs();
  progress("begun");
}

process.on("SIGINT", () => {});
process.on("SIGTERM", () => {});

// what Node's loop watches is registered in its first turn, through a ring (io_uring) that no filter could look into later
await new Promise(setImmediate);
/** Before a byte that anybody sent is read. */
const held = process.argv[3] === HOLD ? hold() : null;
function exit(code: number): void {
  held?.exit(code);
  process.exit(code);
}
process.on("uncaughtException", (error) => {
  writeSync(2, `${error.stack ?? error.message}\n`);
  exit(1);
});

/** `(module (memory (export "memory") 1) (func (export "_start")))` */
const EMPTY_MODULE = Buffer.from(
  "0061736d01000000010401600000030201000503010001071302066d656d6f72790200065f737461727400000a040102000b",
  "hex",
);
const moduleOf = (bytes: Uint8Array): WebAssembly.Module => new WebAssembly.Module(bytes);
/** A module that V8 refuses fails its own job, not whichever comes. */
function compiledAhead(file: string): WebAssembly.Module | null {
  try {
    return moduleOf(readWhole(seen(file)));
  } catch {
    return null;
  }
}
/** A path as the daemon wrote it: absolute, or below the worker's folder. */
const seen = (file: string): string => (file.startsWith("/") ? file : `${FOLDER}/${file}`);
const preloadPath = process.env[PRELOAD_VARIABLE];
const preloaded = preloadPath === undefined ? null : compiledAhead(preloadPath);

/** Runs the engine once on nothing while there is time, so that a job finds its code compiled. */
function warmUp(): void {
  const prepared = prepareModule(EMPTY_MODULE);
  if (!prepared.ok) throw new Error(prepared.message);
  runJob({
    module: moduleOf(prepared.bytes),
    world: { args: [], env: [], clockBaseNs: 0n, random: seededRandom(new Uint8Array(32)) },
    mounts: [],
    stdin: new Uint8Array(),
    fuelMax: 1_000n,
    memoryPagesMax: 1,
    diskBytesMax: MIB,
    streamBytesMax: 0,
    sha256,
    stdout: () => {},
    stderr: () => {},
  });
}

/** A worker that is taken at once has no time for it, and a busy machine none to spare. */
const warming = setTimeout(warmUp, WARM_UP_AFTER_MS);
const job = await takenJob();
clearTimeout(warming);
held?.limit(boundsOf(job));
progress("begun");
const keeping = new Keeping();

async function takenJob(): Promise<WorkerJob> {
  const line = await promisify(readFileOf)(0, "utf8");
  if (line === "") exit(0); // the daemon ended before it had a job for this worker
  return JSON.parse(line) as WorkerJob;
}

/** Read one after the other while they are placed. */
function* entriesBelow(mount: string): Generator<TreeEntry> {
  const prefix = `${mount.slice(1)}/`;
  for (const entry of job.inputs) {
    if (!entry.path.startsWith(prefix)) continue;
    const path = entry.path.slice(prefix.length);
    if (entry.kind === "file") yield { path, kind: "file", size: entry.size ?? 0, chunks: () => piecesOf(blobFile(entry.digest ?? "")) };
    else yield entry.kind === "link" ? { path, kind: "link", target: entry.target ?? "" } : { path, kind: "directory" };
  }
}

type Compiled = { ok: true; module: WebAssembly.Module } | { ok: false; kind: "malformed" | "memory-limit"; message: string };
let made: Uint8Array | null = null;

/** What the engine takes and the platform refuses: too large in one of its own limits. */
function compiled(bytes: Uint8Array): Compiled {
  try {
    return { ok: true, module: moduleOf(bytes) };
  } catch (error) {
    if (error instanceof WebAssembly.CompileError) return { ok: false, kind: "malformed", message: `with its metering ${error.message}` };
    throw error;
  }
}

function compile(breakpoints: boolean): Compiled {
  if (preloaded && job.prepared && job.modulePath === preloadPath) return { ok: true, module: preloaded };
  const bytes = readWhole(seen(job.modulePath));
  const prepared = job.prepared ? { ok: true as const, bytes } : prepareModule(bytes, breakpoints, job.memoryMibMax * WASM_PAGES_PER_MIB);
  if (!prepared.ok) return prepared;
  made = prepared.bytes;
  return compiled(prepared.bytes);
}

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

function engineJob(module: WebAssembly.Module): Job {
  const stdin = blob(job.stdin);
  return {
    module,
    comesWithEngine: job.comesWithEngine,
    world: {
      args: job.args,
      env: job.env,
      clockBaseNs: BigInt(job.clockBaseMs) * 1_000_000n,
      random: seededRandom(Buffer.from(job.seed, "hex")),
    },
    mounts: job.mounts.map(({ path, writable }) => ({ path, writable, entries: entriesBelow(path) })),
    preopens: job.preopens.map(([name, path]) => ({ name, path })),
    stdin,
    fuelMax: BigInt(job.fuelMax),
    memoryPagesMax: job.memoryMibMax * WASM_PAGES_PER_MIB,
    // standard input lies in the same memory as the files
    diskBytesMax: Math.max(0, job.diskMibMax * MIB - stdin.length),
    streamBytesMax: job.outputMibMax * MIB,
    // of a run with breakpoints nothing is handed in before its end: nobody waits for it
    sha256: job.breakpoints === null ? (bytes) => (alive(), sha256(bytes)) : sha256,
    stdout: (bytes) => writeAll(descriptorOf("stdout"), bytes),
    stderr: (bytes) => writeAll(descriptorOf("stderr"), bytes),
  };
}

/** Who ended a guest from outside: the daemon, or the clock. */
class Outside {
  readonly #endsAt = monotonicMs() + job.runMsMax;
  #lookedAt = 0;
  by: "stopped" | "timeout" = "stopped";

  /** Looks now and then, so that a guest that calls often pays little for it. */
  isStopped(): boolean {
    const now = monotonicMs();
    if (now - this.#lookedAt < LOOK_EVERY_MS) return false;
    this.#lookedAt = now;
    if (now >= this.#endsAt) this.by = "timeout";
    return this.by === "timeout" || existsSync(`${FOLDER}/${WORKER_FILES.stop}`);
  }

  /** Calls what may not end by itself; false where it was interrupted. */
  interruptible(call: () => void): boolean {
    try {
      Object.assign(globalThis, { guestStart: call });
      const timeout = Math.min(job.runMsMax + STOP_WITHIN_MS, TIMEOUT_MS_MAX);
      new vm.Script("guestStart()").runInThisContext({ timeout, breakOnSigint: true });
      return true;
    } catch (error) {
      const code = error instanceof Error && "code" in error ? error.code : null;
      if (code === "ERR_SCRIPT_EXECUTION_TIMEOUT") this.by = "timeout";
      else if (code !== "ERR_SCRIPT_EXECUTION_INTERRUPTED") throw error;
      return false;
    }
  }
}

function cameOf({ ending, fuel, memoryHash, treeAt }: Finished, interrupted: "stopped" | "timeout", from: bigint): Came {
  const result = {
    ...NOTHING,
    ...describe(ending, interrupted),
    fuel: (fuel - from).toString(),
    fuelInAll: fuel.toString(),
    memoryHash: memoryHash && Buffer.from(memoryHash).toString("hex"),
    endedMonotonicMs: monotonicMs(),
  };
  const mounts = ending.kind === "refused" ? [] : job.mounts.filter((each) => each.keep).map(({ path }) => path);
  return { result, tree: kept(mounts, treeAt, keeping, alive) };
}

function run(): Came {
  const built = compile(false);
  if (!built.ok) return unfit(built.kind, built.message);
  const outside = new Outside();
  const guest: Job = { ...engineJob(built.module), isStopped: () => outside.isStopped() };
  const finished = runJob(guest, (start) => outside.interruptible(start));
  return cameOf(finished, outside.by, 0n);
}

/** For disputes alone. */
async function runWithBreakpoints(breakpoints: NonNullable<WorkerJob["breakpoints"]>): Promise<Came> {
  const { segment, trace } = await import("./breakpoints.ts");
  const built = compile(true);
  if (!built.ok) return unfit(built.kind, built.message);
  try {
    if (breakpoints.kind === "trace") {
      const { finished, roots } = trace(engineJob(built.module), breakpoints, (digest, bytes) => keeping.keepState(digest, bytes));
      const came = cameOf(finished, "stopped", 0n);
      return { ...came, result: { ...came.result, roots } };
    }
    const { finished, stateRoot, fuel, from } = segment(engineJob(built.module), breakpoints, blob);
    if (finished) return cameOf(finished, "stopped", from);
    const used = { fuel: (fuel - from).toString(), fuelInAll: fuel.toString() };
    return { result: { ...NOTHING, ...used, ending: "segment-end", detail: "", stateRoot, endedMonotonicMs: monotonicMs() }, tree: [] };
  } catch (error) {
    if (error instanceof BadState) return unfit("malformed", error.message);
    throw error;
  }
}

const { result, tree } = job.breakpoints === null ? run() : await runWithBreakpoints(job.breakpoints);
if (made && job.keepPrepared) writeAll(descriptorOf("prepared.wasm"), made);
handIn(result, tree);
exit(0);
