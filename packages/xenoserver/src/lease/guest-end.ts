/** How a guest ended, as its result will state it. */
import { filesProblem, type Payload } from "@xenoservers/protocol";
import type { InputEntry } from "@xenoservers/protocol/channel";

interface GuestSummary {
  exitCode: number | null;
  detail: string;
  fuel: bigint;
  fuelInAll: bigint;
  memoryHash: string | null;
  stateRoot: string | null;
  tree: InputEntry[];
  usedMs: number;
  egressBytes: number;
}
/** A guest's end under the reason that its result states. */
export interface GuestEnd extends GuestSummary {
  reason: Payload<"result">["reason"];
}

const NO_SUMMARY: GuestSummary = {
  ...{ exitCode: null, detail: "", fuel: 0n, fuelInAll: 0n, memoryHash: null, stateRoot: null, tree: [], usedMs: 0, egressBytes: 0 },
};

export const DETAIL_MAX = 400;

/**
 * What comes back of a job that runs alike everywhere: all of it, or nothing of its files where they are more than comes back. One that
 * ended by itself has then met a limit; it is the same for whoever runs it again.
 */
export function handedBack<E extends Pick<GuestEnd, "exitCode" | "tree" | "detail"> & { reason: string }>(
  end: E,
  sizes: { stdoutSize: number; stderrSize: number },
): E {
  const detail = filesProblem(end.tree, sizes);
  if (detail === null) return end;
  const limited = end.reason === "completed" ? { reason: "output-limit" as const, exitCode: null } : {};
  return { ...end, ...limited, detail, tree: [] };
}

/** The end of a guest that never ran, or left nothing. */
export const withNothing = (reason: GuestEnd["reason"], detail = ""): GuestEnd => ({ ...NO_SUMMARY, reason, detail });
