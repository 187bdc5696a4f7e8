/**
 * A guest's process: waits for jobs on standard input, a line of JSON each, runs one after the other and ends when that ends. It runs in an
 * empty root without network. All of its jobs are one customer's. Standard output is written to a file as it comes, so that it survives
 * this process and the daemon.
 */
import { boundsOf } from "./bounds.ts";
import { HOLD, hold } from "./hold.ts";
import { PRELOAD_VARIABLE, type WorkerJob } from "./job.ts";
import { Modules } from "./modules.ts";
import { JobRun } from "./run.ts";
import { promisify, read as readOf, writeSync } from "./of-node.ts";
import { warmUp } from "./warm-up.ts";

const FOLDER = process.argv[2] ?? "/w";
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

/** A path as the daemon wrote it: absolute, or below the worker's folder. */
const modules = new Modules((file) => (file.startsWith("/") ? file : `${FOLDER}/${file}`));
const preloadPath = process.env[PRELOAD_VARIABLE];
// one file of each process, which nobody writes to once it lies there
if (preloadPath !== undefined) modules.compileAhead(preloadPath, held?.map);

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
const warming = setTimeout(() => void warmUp(FOLDER), WARM_UP_AFTER_MS);
for (let job = await nextJob(); job !== null; job = await nextJob()) {
  clearTimeout(warming);
  held?.limit(boundsOf(job));
  await new JobRun(FOLDER, modules, job).handIn();
}
exit(0);
