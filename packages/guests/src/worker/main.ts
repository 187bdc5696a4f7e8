/**
 * A guest's process: waits for jobs on standard input, a line of JSON each, runs one after the other and ends when that ends. It runs in an
 * empty root without network. All of its jobs are one customer's. Standard output is written to a file as it comes, so that it survives
 * this process and the daemon.
 */
import { read as readOf, writeSync } from "node:fs";
import { promisify } from "node:util";
import { prepareModule, runJob, seededRandom } from "@xenoservers/engine";
import { boundsOf } from "./bounds.ts";
import { HOLD, hold } from "./hold.ts";
import { PRELOAD_VARIABLE, type WorkerJob } from "./job.ts";
import { Modules, moduleOf } from "./modules.ts";
import { JobRun, sha256 } from "./run.ts";

const FOLDER = process.argv[2] ?? "/w";
const MIB = 1024 * 1024;
const WARM_UP_AFTER_MS = 150;
/** What a pipe holds. */
const PIECE_BYTES = 64 * 1024;
const NEWLINE = 10;

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
/** A path as the daemon wrote it: absolute, or below the worker's folder. */
const modules = new Modules((file) => (file.startsWith("/") ? file : `${FOLDER}/${file}`));
const preloadPath = process.env[PRELOAD_VARIABLE];
if (preloadPath !== undefined) modules.compileAhead(preloadPath);

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

const readPart = promisify(readOf);

/** Null when the daemon has none any more, or is gone. Never more than one is there before it is done. */
async function nextJob(): Promise<WorkerJob | null> {
  const pieces: Buffer[] = [];
  for (;;) {
    const { bytesRead, buffer } = await readPart(0, Buffer.allocUnsafe(PIECE_BYTES), 0, PIECE_BYTES, null);
    if (bytesRead === 0) return null;
    pieces.push(buffer.subarray(0, bytesRead));
    if (buffer[bytesRead - 1] === NEWLINE) return JSON.parse(Buffer.concat(pieces).toString("utf8")) as WorkerJob;
  }
}

/** A worker that is taken at once has no time for it, and a busy machine none to spare. */
const warming = setTimeout(warmUp, WARM_UP_AFTER_MS);
for (let job = await nextJob(); job !== null; job = await nextJob()) {
  clearTimeout(warming);
  held?.limit(boundsOf(job));
  await new JobRun(FOLDER, modules, job).handIn();
}
exit(0);
