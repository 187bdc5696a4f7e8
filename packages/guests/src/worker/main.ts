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
import { TRAP_EXIT_CODE, prepareModule, runJob, seededRandom, type Ending, type TreeEntry } from "@xenoservers/engine";
import { PRELOAD_VARIABLE, WORKER_FILES, type TreeManifestEntry, type WorkerJob, type WorkerResult } from "./job.ts";

const FOLDER = process.argv[2] ?? "/w";
const MIB = 1024 * 1024;
const WASM_PAGES_PER_MIB = 16;
const DETAIL_MAX = 400;
const WARM_UP_AFTER_MS = 150;

const monotonicMs = (): number => Number(process.hrtime.bigint() / 1_000n) / 1_000;
const digestOf = (bytes: Uint8Array): string => createHash("sha256").update(bytes).digest("hex");
const blob = (digest: string): Uint8Array => readFileSync(`${FOLDER}/${WORKER_FILES.blobs}/${digest}`);

process.on("SIGINT", () => {});
process.on("SIGTERM", () => {});

/** `(module (memory (export "memory") 1) (func (export "_start")))` */
const EMPTY_MODULE = Buffer.from("0061736d01000000010401600000030201000503010001071302066d656d6f72790200065f737461727400000a040102000b", "hex");
const moduleOf = (bytes: Uint8Array): WebAssembly.Module => new WebAssembly.Module(bytes as Uint8Array<ArrayBuffer>);
const preloadPath = process.env[PRELOAD_VARIABLE];
const preloaded = preloadPath === undefined ? null : moduleOf(readFileSync(preloadPath));

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

function compile(): Compiled {
  if (preloaded && job.prepared && job.modulePath === preloadPath) return { ok: true, module: preloaded };
  const bytes = readFileSync(job.modulePath) as Uint8Array;
  const prepared = job.prepared ? { ok: true as const, bytes } : prepareModule(bytes);
  return prepared.ok ? { ok: true, module: moduleOf(prepared.bytes) } : prepared;
}

function run(): WorkerResult {
  const compiled = compile();
  if (!compiled.ok)
    return {
      ending: "malformed",
      exitCode: null,
      detail: compiled.message.slice(0, DETAIL_MAX),
      fuel: "0",
      memoryHash: null,
      endedMonotonicMs: monotonicMs(),
      tree: [],
    };
  let interrupted: "stopped" | "timeout" = "stopped";
  const finished = runJob(
    {
      module: compiled.module as never,
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
    },
    (start) => {
      try {
        (globalThis as { guestStart?: () => void }).guestStart = start;
        new vm.Script("guestStart()").runInThisContext({ timeout: job.runMsMax, breakOnSigint: true });
        return true;
      } catch (error) {
        const code = (error as { code?: string }).code;
        if (code === "ERR_SCRIPT_EXECUTION_TIMEOUT") interrupted = "timeout";
        else if (code !== "ERR_SCRIPT_EXECUTION_INTERRUPTED") throw error;
        return false;
      }
    },
  );
  const endedMonotonicMs = monotonicMs();
  return {
    ...describe(finished.ending, interrupted),
    fuel: finished.fuel.toString(),
    memoryHash: finished.memoryHash && Buffer.from(finished.memoryHash).toString("hex"),
    endedMonotonicMs,
    tree: keep(finished.treeAt),
  };
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

const result = run();
closeSync(streams.stdout);
closeSync(streams.stderr);
writeFileSync(`${FOLDER}/${WORKER_FILES.result}.part`, JSON.stringify(result));
renameSync(`${FOLDER}/${WORKER_FILES.result}.part`, `${FOLDER}/${WORKER_FILES.result}`);
process.exit(0);
