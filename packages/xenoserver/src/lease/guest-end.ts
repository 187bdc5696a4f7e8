/** How a guest ended, as its result will state it. */
import type { Payload } from "@xenoservers/protocol";
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

/** The end of a guest that never ran, or left nothing. */
export const withNothing = (reason: GuestEnd["reason"], detail = ""): GuestEnd => ({ ...NO_SUMMARY, reason, detail });
