/** Runs of a job's build with breakpoints: all of it, showing the states' roots; or one segment, from a state that was handed in. */
import { BadState, readState, traceJob, type Finished, type Job } from "@xenoservers/engine";
import type { SegmentJob, TraceJob } from "./job.ts";

/** `keep` gets the states' manifests and pieces by digest, as long as they are not more than the job allows. */
export function trace(
  job: Job,
  { step, keepBytesMax }: TraceJob,
  keep: (digest: string, bytes: Uint8Array) => void,
): { finished: Finished; roots: string[] } {
  const roots: string[] = [];
  let keptBytes = 0;
  const finished = traceJob(job, {
    step: BigInt(step),
    from: null,
    onBreakpoint(_index, { root, manifest, pieces }) {
      if (roots.at(-1) !== root)
        for (const [digest, bytes] of [[root, manifest] as const, ...pieces]) {
          keptBytes += bytes.length;
          if (keptBytes <= keepBytesMax) keep(digest, bytes);
        }
      roots.push(root);
      return true;
    },
  });
  if (!finished) throw new Error("a trace ended before its job");
  return { finished, roots };
}

interface SegmentEnd {
  /** How the job ended inside the segment; null when it reached the segment's end. */
  finished: Finished | null;
  stateRoot: string | null;
  /** Used in all, and where the segment began: never more. */
  fuel: bigint;
  from: bigint;
}

/**
 * Throws BadState where `from` is no state of this job from which one step leads to the end of the segment, or a piece of it is not here.
 */
export function segment(job: Job, { from: root, step, index }: SegmentJob, blob: (digest: string) => Uint8Array): SegmentEnd {
  const piece = (digest: string): Uint8Array => {
    try {
      return blob(digest);
    } catch {
      throw new BadState(`a piece of the state to go on from is missing: ${digest}`);
    }
  };
  const manifest = root === null ? null : piece(root);
  const from = manifest ? BigInt(readState(manifest, piece).manifest.fuel) : 0n;
  if (from < BigInt(index - 1) * BigInt(step)) throw new BadState("the state to go on from is of an earlier segment");
  // one long step took both at once
  if (manifest && from >= BigInt(index) * BigInt(step)) return { finished: null, stateRoot: root, fuel: from, from };
  const reached: { root: string | null; fuel: bigint } = { root: null, fuel: 0n };
  const finished = traceJob(job, {
    step: BigInt(step),
    from: manifest && { manifest, piece },
    onBreakpoint(at, state) {
      if (at < BigInt(index)) return true;
      Object.assign(reached, { root: state.root, fuel: state.fuel });
      return false;
    },
  });
  const fuel = finished?.fuel ?? reached.fuel;
  // a trap counts nothing since the last call or finished loop, not even what a breakpoint in between has counted
  return { finished, stateRoot: reached.root, fuel, from: from < fuel ? from : fuel };
}
