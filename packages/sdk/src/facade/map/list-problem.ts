/**
 * Whether what a server signed of a lease of several runs can all be so: the list of what each came to against both streams and the
 * lease's end. Only running it again shows that a list is true; one that contradicts what it was signed with is wrong at once. Who controls
 * the inputs: the server (list, streams), the broker (the lease's end).
 */
import { toHex, type RunEnd } from "@xenoservers/protocol";
import { systemCrypto } from "@xenoservers/protocol/system";
import type { JobResult } from "../job-result.ts";

type Whole = Pick<JobResult, "delivered" | "end" | "printed" | "isCut">;

interface Listed {
  /** Something was handed in under the list's name. */
  isThere: boolean;
  /** Of runs that were ordered; null: it is not known here. */
  count: number | null;
}

const ofStream = {
  stdout: (end: RunEnd) => ({ size: end.stdoutBytes, digest: end.stdoutDigest }),
  stderr: (end: RunEnd) => ({ size: end.stderrBytes, digest: end.stderrDigest }),
};

/** `isWhole`: the list is of all that was printed. */
function streamProblem({ printed, isCut }: Whole, ends: readonly RunEnd[], stream: "stdout" | "stderr", isWhole: boolean): string | null {
  const bytes = printed[stream];
  let at = 0;
  for (const [index, end] of ends.entries()) {
    const { size, digest } = ofStream[stream](end);
    const part = bytes.subarray(at, (at += size));
    // what lies beyond the part that is held is believed
    if (part.length < size && isCut) return null;
    if (part.length < size) return `lists more of ${stream} than was printed`;
    if (toHex(systemCrypto.sha256(part)) !== digest) return `lists another ${stream} of run ${index} than was printed`;
  }
  return isWhole && !isCut && at < bytes.length ? `lists less of ${stream} than was printed` : null;
}

/** Null where it can be so. */
export function listProblem(whole: Whole, ends: readonly RunEnd[] | null, { isThere, count }: Listed): string | null {
  if (whole.delivered === null) return null;
  const isOver = whole.end.reason === "completed";
  if (ends === null) return isThere || isOver ? "has no list of what its runs came to" : null;
  const last = ends.at(-1);
  const isShort = isOver && count !== null && ends.length < count && (last === undefined || last.ending === "exit");
  if (isShort) return `lists ${ends.length} of its ${count} runs, and says that it did what it could`;
  return streamProblem(whole, ends, "stdout", isOver) ?? streamProblem(whole, ends, "stderr", isOver);
}
