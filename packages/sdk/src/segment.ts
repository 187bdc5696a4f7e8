/**
 * Where two traces of one job part: the segment that a referee has to run, and the state to begin it from. Every root is its signer's
 * word; the state is only that whose digest both signed.
 */
import { statePiecesOf, type Segment } from "@xenoservers/protocol";
import { builtJob, type BuiltJob } from "./job.ts";
import { bytesBlob } from "./blob.ts";
import { NotDelivered } from "./session/fetches.ts";

/** Of one job: the roots, and the states behind them by digest. */
export interface Trace {
  roots: readonly string[];
  /** Throws where it is not to be had. */
  read(digest: string): Promise<Uint8Array>;
  /** Lets go of the states. */
  close(): void | Promise<void>;
}

const NOTHING = bytesBlob(new Uint8Array(0));

/** The first segment (from 1 on) at whose end the two say something else; the one in which the shorter ends where all it has agrees. */
export function firstDifference(a: readonly string[], b: readonly string[]): number {
  const length = Math.min(a.length, b.length);
  for (let i = 0; i < length; i++) if (a[i] !== b[i]) return i + 1;
  return length + 1;
}

/** The state with this root, from whoever has it. Throws the last failure. */
async function stateOf(root: string, sources: readonly Trace[]): Promise<Map<string, Uint8Array>> {
  let failure: unknown = new NotDelivered("nobody has the state to begin from");
  for (const { read } of sources) {
    try {
      const manifest = await read(root);
      const digests = statePiecesOf(manifest);
      if (!digests) throw new NotDelivered("the state to begin from is no state");
      const pieces = new Map([[root, manifest]]);
      for (const digest of digests) pieces.set(digest, digest === NOTHING.digest ? new Uint8Array(0) : await read(digest));
      return pieces;
    } catch (error) {
      failure = error;
    }
  }
  throw failure;
}

/** The job as a referee gets it: the same, from that state on. */
export async function segmentJob(
  job: BuiltJob,
  roots: readonly string[],
  { step, index, upTo }: Omit<Segment, "from">,
  sources: readonly Trace[],
): Promise<BuiltJob> {
  const from = index === 1 ? null : (roots[index - 2] ?? null);
  if (index > 1 && from === null) throw new NotDelivered(`nobody has a state at checkpoint ${index - 1}`);
  const state = from === null ? new Map<string, Uint8Array>() : await stateOf(from, sources);
  const blobs = new Map(job.blobs);
  for (const [digest, bytes] of state) blobs.set(digest, bytesBlob(bytes));
  const pieces = [...state].map(([digest, { length }]) => ({ digest, size: length }));
  return builtJob({ ...job, blobs, segment: { segment: { from, step, index, upTo }, pieces } });
}
