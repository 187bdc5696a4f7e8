/**
 * A run on several processors at once. Each lane is a process of its own, so that its watch sees the time and the memory of its own inputs
 * alone; an input is the same in whichever lane it is played.
 */
import { fork } from "node:child_process";
import type { Tally } from "./run.ts";
import { sumOf, type Watched } from "./watch.ts";

/** Fewer are played sooner than another process starts. */
const LANE_INPUTS_MIN = 5_000;

function lane(watched: Watched): Promise<Tally> {
  const child = fork(new URL("lane.ts", import.meta.url), { serialization: "advanced", stdio: ["ignore", "inherit", "inherit", "ipc"] });
  return new Promise((resolve, reject) => {
    child.once("message", (tally: Tally) => resolve(tally));
    child.once("error", reject);
    // a lane that told its tally is done already
    child.once("exit", (code, signal) => reject(new Error(`a lane ended with ${code ?? signal} before it told what it found`)));
    child.send(watched);
  });
}

/** What is found by several lanes is told once, of the first input that shows it. */
export async function inLanes(watched: Watched, most: number, leastEach = LANE_INPUTS_MIN): Promise<Tally> {
  const { from, count } = watched;
  const lanes = Math.max(1, Math.min(most, Math.floor(count / leastEach)));
  const edge = (i: number): number => from + Math.floor((count * i) / lanes);
  const tallies = await Promise.all(
    Array.from({ length: lanes }, (_, i) => lane({ ...watched, from: edge(i), count: edge(i + 1) - edge(i) })),
  );
  const whole = sumOf(tallies, []);
  const found = whole.found.toSorted((a, b) => a.index - b.index);
  // what stopped a thread is told each time: another input may have done it in another way
  const isFirst = (what: string, at: number): boolean => found.findIndex((each) => each.what === what) === at;
  return { ...whole, found: found.filter(({ what }, at) => /^(hang|crash)/.test(what) || isFirst(what, at)) };
}
