/**
 * A single-use guest process: waits for one job on stdin, runs it in the engine, leaves its output as files in its folder, ends.
 * It runs in an empty root without network. Standard output is written to a file as it comes, so that it survives this process and the daemon.
 * The guest runs under node:vm so that SIGINT (the daemon's stop) and the backstop timeout interrupt even a tight loop and leave the in-memory
 * files readable: what was written so far still travels back.
 */
import { createHash } from "node:crypto";
import { closeSync, mkdirSync, openSync, readFileSync, renameSync, writeFileSync, writeSync } from "node:fs";
import { setFlagsFromString } from "node:v8";
import vm from "node:vm";
import { TRAP_EXIT_CODE, runJob, seededRandom, type Ending, type TreeEntry } from "@xenoservers/engine";
import { WORKER_FILES, type TreeManifestEntry, type WorkerJob, type WorkerResult } from "./job.ts";

const FOLDER = process.argv[2] ?? "/w";
const MIB = 1024 * 1024;
const WASM_PAGES_PER_MIB = 16;
const SLEEP_SLICE_MS = 20;
/** A guest that ends badly this close to its memory limit is said to have ended for want of memory. */
const NEAR_LIMIT_BYTES = 2 * MIB;

const monotonicMs = (): number => Number(process.hrtime.bigint() / 1_000n) / 1_000;
const digestOf = (bytes: Uint8Array): string => createHash("sha256").update(bytes).digest("hex");
const blob = (digest: string): Uint8Array => readFileSync(`${FOLDER}/${WORKER_FILES.blobs}/${digest}`);

process.on("SIGINT", () => {});
process.on("SIGTERM", () => {});

const line = readFileSync(0, "utf8");
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

const sleepCell = new Int32Array(new SharedArrayBuffer(4));
function sleep(ns: bigint): void {
  const until = monotonicMs() + Number(ns / 1_000n) / 1_000;
  for (let left = until - monotonicMs(); left > 0; left = until - monotonicMs()) Atomics.wait(sleepCell, 0, 0, Math.min(left, SLEEP_SLICE_MS));
}

function compile(): WebAssembly.Module | string {
  try {
    return new WebAssembly.Module(readFileSync(job.modulePath) as Uint8Array<ArrayBuffer>);
  } catch (error) {
    if (error instanceof WebAssembly.CompileError) return error.message.replace(/^WebAssembly\.Module\(\): /, "");
    throw error;
  }
}

function run(): WorkerResult {
  setFlagsFromString(`--wasm-max-mem-pages=${job.memoryMibMax * WASM_PAGES_PER_MIB}`);
  const module = compile();
  if (typeof module === "string") return { ending: "malformed", exitCode: null, detail: module.slice(0, 400), endedMonotonicMs: monotonicMs(), tree: [] };
  const startMs = monotonicMs();
  const elapsedNs = (): bigint => BigInt(Math.round((monotonicMs() - startMs) * 1e6));
  let interrupted: "stopped" | "timeout" | null = null;
  const finished = runJob(
    {
      module: module as never,
      world: {
        args: job.args,
        env: job.env,
        monotonicNs: elapsedNs,
        realtimeNs: () => BigInt(job.clockBaseMs) * 1_000_000n + elapsedNs(),
        random: seededRandom(Buffer.from(job.seed, "hex")),
        sleep,
      },
      mounts: job.mounts.map(({ path, writable }) => ({ path, writable, entries: entriesBelow(path) })),
      stdin: blob(job.stdin),
      diskBytesMax: job.diskMibMax * MIB,
      streamBytesMax: job.outputMibMax * MIB,
      stdout: (bytes) => writeAll(streams.stdout, bytes),
      stderr: (bytes) => writeAll(streams.stderr, bytes),
    },
    (start) => {
      const cell = { start };
      try {
        (globalThis as { guestStart?: () => void }).guestStart = () => cell.start();
        new vm.Script("guestStart()").runInThisContext({ timeout: job.runMsMax, breakOnSigint: true });
      } catch (error) {
        const code = (error as { code?: string }).code;
        if (code === "ERR_SCRIPT_EXECUTION_INTERRUPTED") interrupted = "stopped";
        else if (code === "ERR_SCRIPT_EXECUTION_TIMEOUT") interrupted = "timeout";
        else throw error;
      }
    },
  );
  const endedMonotonicMs = monotonicMs();
  const base = { endedMonotonicMs, tree: keep(finished.treeAt) };
  if (interrupted) return { ...base, ending: interrupted, exitCode: null, detail: "" };
  return { ...base, ...describe(finished.ending, finished.memoryBytes) };
}

function describe(ending: Ending, memoryBytes: number): Pick<WorkerResult, "ending" | "exitCode" | "detail"> {
  const failed = ending.kind === "trap" || (ending.kind === "exit" && ending.code !== 0);
  if (failed && memoryBytes > job.memoryMibMax * MIB - NEAR_LIMIT_BYTES)
    return { ending: "memory-limit", exitCode: null, detail: `the guest grew to ${Math.round(memoryBytes / MIB)} MiB` };
  switch (ending.kind) {
    case "exit":
      return { ending: "exit", exitCode: ending.code, detail: "" };
    case "trap":
      return { ending: "trap", exitCode: TRAP_EXIT_CODE, detail: ending.message.slice(0, 400) };
    case "malformed":
      return { ending: "malformed", exitCode: null, detail: ending.message.slice(0, 400) };
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
