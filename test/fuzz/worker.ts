/** The thread of a watched run (watch.ts). */
import { parentPort, workerData } from "node:worker_threads";
import { fuzz } from "./run.ts";
import type { Target } from "./target.ts";
import type { Part } from "./watch.ts";

const { targets, name, seed, from, count, until, at }: Part = workerData;
const { TARGETS }: { TARGETS: readonly Target[] } = await import(targets);
const target = TARGETS.find((each) => each.name === name);
if (!target) throw new Error(`no target is called ${name}`);
const tally = await fuzz(target, await target.corpus(), {
  ...{ seed, from, count },
  before(index) {
    Atomics.store(at, 0, index);
    return until === null || Date.now() < until;
  },
});
parentPort?.postMessage(tally);
