/**
 * A single-use guest process: waits for one job on stdin, runs it in the engine, leaves its output as files in its folder, ends.
 * It runs in an empty root without network. Standard output is written to a file as it comes, so that it survives this process and the daemon.
 * The guest runs under node:vm so that SIGINT (the daemon's stop) and the backstop timeout interrupt even a tight loop and leave the in-memory
 * files readable: what was written so far still travels back.
 */
import { createHash } from "node:crypto";
import { closeSync, mkdirSync, openSync, readFile as readFileOf, readFileSync, renameSync, writeFileSync, writeSync } from "node:fs";
import { promisify } from "node:util";
import vm from "node:vm";
import { BadState, TRAP_EXIT_CODE, prepareModule, runJob, seededRandom, type Ending, type Finished, type Job, type TreeEntry } from "@xenoservers/engine";
import { PRELOAD_VARIABLE, WORKER_FILES, type TreeManifestEntry, type WorkerJob, type WorkerResult } from "./job.ts";

const FOLDER = process.argv[2] ?? "/w";
const MIB = 1024 * 1024;
const WASM_PAGES_PER_MIB = 16;
const DETAIL_MAX = 400;
const WARM_UP_AFTER_MS = 150;
/** Instrumenting takes about a second for every 50 KiB; a server has two minutes on top of the run itself. */
const INSTRUMENTED_BYTES_MAX = 2 * MIB;
const NO_CHECKPOINTS = "the module is too large, or of a kind, to be built with checkpoints";

const monotonicMs = (): number => Number(process.hrtime.bigint() / 1_000n) / 1_000;
const digestOf = (bytes: Uint8Array): string => createHash("sha256").update(bytes).digest("hex");
const blob = (digest: string): Uint8Array => readFileSync(`${FOLDER}/${WORKER_FILES.blobs}/${digest}`);

process.on("SIGINT", () => {});
process.on("SIGTERM", () => {});

/** `(module (memory (export "memory") 1) (func (export "_start")))` */
const EMPTY_MODULE = Buffer.from("0061736d01000000010401600000030201000503010001071302066d656d6f72790200065f737461727400000a040102000b", "hex");
const moduleOf = (bytes: Uint8Array): WebAssembly.Module => new WebAssembly.Module(bytes as Uint8Array<ArrayBuffer>);
/** A module that V8 refuses fails its own job, not whichever comes. */
function compiledAhead(file: string): WebAssembly.Module | null {
  try {
    return moduleOf(readFileSync(seen(file)));
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
    module: moduleOf(prepared.bytes) as never,
    world: { args: [], env: [], clockBaseNs: 0n, random: seededRandom(new Uint8Array(32)) },
    mounts: [],
    stdin: new Uint8Array(),
    fuelMax: 1_000n,
    memoryPagesMax: 1,
    diskBytesMax: MIB,
    streamBytesMax: 0,
    sha256: (bytes) => createHash("sha256").update(bytes).digest(),
    stdout: () => {},
    stderr: () => {},
  });
}

/** A worker that is taken at once has no time for it, and a busy machine none to spare. */
const warming = setTimeout(warmUp, WARM_UP_AFTER_MS);
const line = await promisify(readFileOf)(0, "utf8");
clearTimeout(warming);
if (line === "") process.exit(0); // the daemon ended before it had a job for this worker
const job = JSON.parse(line) as WorkerJob;
const streams = { stdout: openSync(`${FOLDER}/${WORKER_FILES.stdout}`, "a"), stderr: openSync(`${FOLDER}/${WORKER_FILES.stderr}`, "a") };

function writeAll(fd: number, bytes: Uint8Array): void {
  for (let at = 0; at < bytes.length;) at += writeSync(fd, bytes, at);
}

function entriesBelow(mount: string): TreeEntry[] {
  const prefix = `${mount.slice(1)}/`;
  return job.inputs
    .filter((entry) => entry.path.startsWith(prefix))
    .map((entry): TreeEntry => {
      const path = entry.path.slice(prefix.length);
      if (entry.kind === "file") return { path, kind: "file", bytes: blob(entry.digest!) };
      return entry.kind === "link" ? { path, kind: "link", target: entry.target! } : { path, kind: "directory" };
    });
}

type Compiled = { ok: true; module: WebAssembly.Module } | { ok: false; message: string };
let made: Uint8Array | null = null;

function compile(): Compiled {
  if (preloaded && job.prepared && job.modulePath === preloadPath) return { ok: true, module: preloaded };
  const bytes = readFileSync(seen(job.modulePath)) as Uint8Array;
  const prepared = job.prepared ? { ok: true as const, bytes } : prepareModule(bytes);
  if (!prepared.ok) return prepared;
  made = prepared.bytes;
  return { ok: true, module: moduleOf(prepared.bytes) };
}

const NOTHING = { exitCode: null, fuel: "0", fuelInAll: "0", roots: null, stateRoot: null, memoryHash: null, tree: [] } as const;
const malformed = (message: string): WorkerResult => ({
  ...NOTHING,
  ending: "malformed",
  detail: message.slice(0, DETAIL_MAX),
  endedMonotonicMs: monotonicMs(),
  tree: [],
});

const engineJob = (module: WebAssembly.Module): Job => ({
  module: module as never,
  world: { args: job.args, env: job.env, clockBaseNs: BigInt(job.clockBaseMs) * 1_000_000n, random: seededRandom(Buffer.from(job.seed, "hex")) },
  mounts: job.mounts.map(({ path, writable }) => ({ path, writable, entries: entriesBelow(path) })),
  stdin: blob(job.stdin),
  fuelMax: BigInt(job.fuelMax),
  memoryPagesMax: job.memoryMibMax * WASM_PAGES_PER_MIB,
  diskBytesMax: job.diskMibMax * MIB,
  streamBytesMax: job.outputMibMax * MIB,
  sha256: (bytes) => createHash("sha256").update(bytes).digest(),
  stdout: (bytes) => writeAll(streams.stdout, bytes),
  stderr: (bytes) => writeAll(streams.stderr, bytes),
});

/** Calls what may not end by itself; false where it was interrupted. */
function interruptible(call: () => void, noteTimeout: () => void): boolean {
  try {
    (globalThis as { guestStart?: () => void }).guestStart = call;
    new vm.Script("guestStart()").runInThisContext({ timeout: job.runMsMax, breakOnSigint: true });
    return true;
  } catch (error) {
    const code = (error as { code?: string }).code;
    if (code === "ERR_SCRIPT_EXECUTION_TIMEOUT") noteTimeout();
    else if (code !== "ERR_SCRIPT_EXECUTION_INTERRUPTED") throw error;
    return false;
  }
}

function resultOf({ ending, fuel, memoryHash, treeAt }: Finished, interrupted: "stopped" | "timeout", from: bigint): WorkerResult {
  const endedMonotonicMs = monotonicMs();
  return {
    ...NOTHING,
    ...describe(ending, interrupted),
    fuel: (fuel - from).toString(),
    fuelInAll: fuel.toString(),
    memoryHash: memoryHash && Buffer.from(memoryHash).toString("hex"),
    endedMonotonicMs,
    tree: keep(treeAt),
  };
}

function run(): WorkerResult {
  const compiled = compile();
  if (!compiled.ok) return malformed(compiled.message);
  let interrupted: "stopped" | "timeout" = "stopped";
  const finished = runJob(engineJob(compiled.module), (start) => interruptible(start, () => (interrupted = "timeout")));
  return resultOf(finished, interrupted, 0n);
}

/** The build with checkpoints is for disputes alone, and so is what makes it. */
async function runWithCheckpoints(checkpoints: NonNullable<WorkerJob["checkpoints"]>): Promise<WorkerResult> {
  const { segment, trace } = await import("./checkpoints.ts");
  const compiled = await buildWithCheckpoints();
  if (!compiled.ok) return malformed(compiled.message);
  const out = `${FOLDER}/${WORKER_FILES.out}`;
  mkdirSync(out, { recursive: true });
  try {
    if (checkpoints.kind === "trace") {
      const { finished, roots } = trace(engineJob(compiled.module), checkpoints, (digest, bytes) => writeFileSync(`${out}/${digest}`, bytes));
      return { ...resultOf(finished, "stopped", 0n), roots };
    }
    const { finished, stateRoot, fuel, from } = segment(engineJob(compiled.module), checkpoints, blob);
    if (finished) return resultOf(finished, "stopped", from);
    return {
      ...NOTHING,
      ending: "segment-end",
      detail: "",
      stateRoot,
      fuel: (fuel - from).toString(),
      fuelInAll: fuel.toString(),
      endedMonotonicMs: monotonicMs(),
      tree: [],
    };
  } catch (error) {
    if (error instanceof BadState) return malformed(error.message);
    throw error;
  }
}

async function buildWithCheckpoints(): Promise<Compiled> {
  if (job.prepared) return { ok: false, message: NO_CHECKPOINTS };
  const prepared = prepareModule(readFileSync(seen(job.modulePath)), true);
  if (!prepared.ok) return prepared;
  if (prepared.bytes.length > INSTRUMENTED_BYTES_MAX) return { ok: false, message: NO_CHECKPOINTS };
  const { instrument } = await import("./instrument.ts");
  const bytes = instrument(prepared.bytes);
  return bytes === null ? { ok: false, message: NO_CHECKPOINTS } : { ok: true, module: moduleOf(bytes) };
}

function describe(ending: Ending, interrupted: "stopped" | "timeout"): Pick<WorkerResult, "ending" | "exitCode" | "detail"> {
  switch (ending.kind) {
    case "exit":
      return { ending: "exit", exitCode: ending.code, detail: "" };
    case "trap":
      return { ending: "trap", exitCode: TRAP_EXIT_CODE, detail: ending.message.slice(0, DETAIL_MAX) };
    case "malformed":
      return { ending: "malformed", exitCode: null, detail: ending.message.slice(0, DETAIL_MAX) };
    case "stopped":
      return { ending: interrupted, exitCode: null, detail: "" };
    case "fuel-limit":
    case "output-limit":
    case "memory-limit":
      return { ending: ending.kind, exitCode: null, detail: "" };
  }
}

/** Writes the kept trees as blobs and lists them. */
function keep(treeAt: (path: string) => TreeEntry[]): TreeManifestEntry[] {
  mkdirSync(`${FOLDER}/${WORKER_FILES.out}`, { recursive: true });
  const tree: TreeManifestEntry[] = [];
  for (const mount of job.mounts.filter((each) => each.keep)) {
    for (const entry of treeAt(mount.path)) {
      const path = `${mount.path.slice(1)}/${entry.path}`;
      if (entry.kind === "file") {
        const digest = digestOf(entry.bytes);
        writeFileSync(`${FOLDER}/${WORKER_FILES.out}/${digest}`, entry.bytes);
        tree.push({ path, kind: "file", digest, size: entry.bytes.length });
      } else tree.push(entry.kind === "link" ? { path, kind: "link", target: entry.target } : { path, kind: "directory" });
    }
  }
  return tree;
}

const result = job.checkpoints === null ? run() : await runWithCheckpoints(job.checkpoints);
if (made && job.keepPrepared) writeFileSync(`${FOLDER}/${WORKER_FILES.prepared}`, made);
closeSync(streams.stdout);
closeSync(streams.stderr);
writeFileSync(`${FOLDER}/${WORKER_FILES.result}.part`, JSON.stringify(result));
renameSync(`${FOLDER}/${WORKER_FILES.result}.part`, `${FOLDER}/${WORKER_FILES.result}`);
process.exit(0);
