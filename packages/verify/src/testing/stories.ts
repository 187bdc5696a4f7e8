/** Real receipts of every plot: what its honest parties signed, and what is true of it. */
import { endRootOf } from "@xenoservers/protocol";
import type { OwnRun } from "../receipt/checking.ts";
import { Cast, type Tools } from "./cast.ts";
import { LeaseScript, leaseIn, resultIn } from "./lease-script.ts";
import { PLOTS } from "./plots.ts";
import { Rng } from "./rng.ts";
import type { Play } from "./script.ts";

export interface Story {
  name: string;
  cast: Cast;
  script: LeaseScript;
  /** As it was honestly played. */
  play: Play;
  lease: string;
  /** What running the job again comes to; null where there is nothing to run. */
  truth: OwnRun | null;
}

function truthOf(script: LeaseScript, play: Play, lie: object): OwnRun | null {
  const stated = resultIn(play)?.document.payload;
  if (!stated) return null;
  const honest = Object.fromEntries(Object.entries(script.came).filter(([key]) => Object.hasOwn(lie, key)));
  const { engine, reason, exitCode, fuel, memoryHash, outputDigest, stdoutDigest, stderrDigest } = { ...stated, ...honest };
  const own = { engine, reason, exitCode, fuel: BigInt(fuel), memoryHash, outputDigest, stdoutDigest, stderrDigest };
  const ruling = play.find("theirs") ? play.of("result", "theirs").document.payload.stateRoot : null;
  return { ...own, jobHash: script.jobHash, rootAt: () => ruling ?? endRootOf(script.cast.crypto, own) };
}

export function storyOf(tools: Tools, name: string, seed: number): Story {
  const plot = PLOTS[name];
  if (!plot) throw new Error(`there is no plot ${name}`);
  const cast = new Cast(tools, seed);
  const script = plot.tell(new LeaseScript(cast, new Rng(seed), plot.deal));
  const play = script.play();
  return { name, cast, script, play, lease: leaseIn(play), truth: truthOf(script, play, plot.lie ?? {}) };
}

export const STORY_NAMES: readonly string[] = Object.keys(PLOTS);
