/**
 * A run in a thread of its own, watched from outside: an input that takes too much time of the processor is a hang, memory that grows
 * beyond a bound is a crash, and so is whatever ends the thread. After each of these the run goes on behind the input that did it.
 */
import { Worker } from "node:worker_threads";
import type { Found, Tally } from "./run.ts";

export interface Watched {
  /** The module that exports the targets as `TARGETS`. */
  targets: string;
  name: string;
  seed: number;
  from: number;
  count: number;
  /** When to stop, whatever is left (ms since 1970); null: never. */
  until: number | null;
  bounds?: Bounds;
}

export interface Bounds {
  /** Of one input, in time of the processor: what a machine does beside it does not count. */
  cpuMs: number;
  /** By which the program may grow. */
  memoryMib: number;
}

export const BOUNDS: Bounds = { cpuMs: 5_000, memoryMib: 1_024 };
/** As programs have it: on a larger one what is nested deeply enough to end them would pass. */
const STACK_MIB = 1;
const LOOK_EVERY_MS = 200;
const STOPS_MAX = 5;
const MIB = 1024 * 1024;

/** What the thread is told. */
export interface Part extends Omit<Watched, "bounds"> {
  /** The number of the input that is being played. */
  at: Int32Array<SharedArrayBuffer>;
}

const cpuMs = (): number => {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1_000;
};

type Ended = { tally: Tally } | { stopped: string; stack: string };

function playedIn(part: Part, { cpuMs: cpuMsMax, memoryMib }: Bounds): Promise<Ended> {
  const worker = new Worker(new URL("worker.ts", import.meta.url), {
    workerData: part,
    resourceLimits: { maxOldGenerationSizeMb: memoryMib, stackSizeMb: STACK_MIB },
  });
  return new Promise((resolve) => {
    let [index, since] = [-1, cpuMs()];
    const memory = process.memoryUsage.rss();
    let isOver = false;
    const end = (ended: Ended): void => {
      if (isOver) return;
      isOver = true;
      clearInterval(timer);
      void worker.terminate().then(() => resolve(ended));
    };
    const stop = (stopped: string, stack = ""): void => end({ stopped, stack });
    const timer = setInterval(() => {
      const now = Atomics.load(part.at, 0);
      if (now !== index) [index, since] = [now, cpuMs()];
      else if (now >= 0 && cpuMs() - since > cpuMsMax) stop(`hang: more than ${cpuMsMax} ms of the processor`);
      if (process.memoryUsage.rss() - memory > memoryMib * MIB) stop(`crash: more than ${memoryMib} MiB of memory`);
    }, LOOK_EVERY_MS);
    worker.once("message", (tally: Tally) => end({ tally }));
    worker.once("error", (error: Error) => stop(`crash: ${error.message.slice(0, 120)}`, error.stack));
    worker.once("exit", (code) => stop(`crash: the thread ended with ${code}`));
  });
}

export function sumOf(tallies: readonly Tally[], found: readonly Found[]): Tally {
  const refused: Record<string, number> = {};
  for (const tally of tallies) for (const [code, count] of Object.entries(tally.refused)) refused[code] = (refused[code] ?? 0) + count;
  return {
    inputs: tallies.reduce((sum, { inputs }) => sum + inputs, 0),
    accepted: tallies.reduce((sum, { accepted }) => sum + accepted, 0),
    refused,
    found: [...tallies.flatMap((tally) => tally.found), ...found],
  };
}

export async function watch({ bounds = BOUNDS, ...watched }: Watched): Promise<Tally> {
  const tallies: Tally[] = [];
  const stops: Found[] = [];
  let { from } = watched;
  const end = from + watched.count;
  while (from < end && stops.length < STOPS_MAX) {
    const at = new Int32Array(new SharedArrayBuffer(4)).fill(-1);
    const ended = await playedIn({ ...watched, from, count: end - from, at }, bounds);
    if ("tally" in ended) {
      tallies.push(ended.tally);
      break;
    }
    const index = Atomics.load(at, 0);
    stops.push({ what: ended.stopped, index, stack: ended.stack, input: new Uint8Array() });
    // what came before it was played without a find, or is played again by its number
    tallies.push({ inputs: Math.max(0, index - from + 1), accepted: 0, refused: {}, found: [] });
    if (index < 0) break; // it never began
    from = index + 1;
  }
  return sumOf(tallies, stops);
}
