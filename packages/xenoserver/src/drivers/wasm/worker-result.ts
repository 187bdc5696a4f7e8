/**
 * What a guest process says of its end, from the file that it left. Who controls the inputs: the guest where it broke out of the engine,
 * every byte; the customer else, names and output.
 */
import type { GuestEnd, WorkerResult } from "@xenoservers/guests";
import { TRACE_ROOTS_MAX, canonicalBytes, ifCanonical, zFuel, zId } from "@xenoservers/protocol";
import { zTree } from "@xenoservers/protocol/channel";
import { z } from "zod";
import type { GuestEnding } from "../driver.ts";
import type { ResultReasonName } from "../job.ts";

const REASONS: Record<WorkerResult["ending"], ResultReasonName> = {
  exit: "completed",
  "segment-end": "segment-end",
  trap: "completed",
  "fuel-limit": "fuel-limit",
  "output-limit": "output-limit",
  "memory-limit": "memory-limit",
  malformed: "module-malformed",
  refused: "job-refused",
  stopped: "stopped",
  timeout: "stopped",
};
export const monotonicMs = (): number => Number(process.hrtime.bigint() / 1_000n) / 1_000;

/** What a guest process says of itself; one that says anything else has failed. */
const zWorkerResult = z.object({
  ending: z.string().refine((ending): ending is WorkerResult["ending"] => Object.hasOwn(REASONS, ending)),
  exitCode: z.int().min(0).max(255).nullable(),
  detail: z.string().max(1_000),
  fuel: zFuel,
  fuelInAll: zFuel,
  memoryHash: z.nullable(zId),
  roots: z.array(zId).max(TRACE_ROOTS_MAX).nullable(),
  stateRoot: z.nullable(zId),
  endedMonotonicMs: z.number(),
  tree: zTree,
});

const hostFailure = (detail: string): GuestEnding => ({ kind: "host-failure", detail, endedMonotonicMs: monotonicMs() });

/** An end of which nothing was handed in. */
const withoutResult = (reason: ResultReasonName, detail: string): GuestEnding => ({
  ...{ kind: "result", reason, detail, exitCode: null, fuel: 0n, fuelInAll: 0n, roots: null, stateRoot: null, memoryHash: null, tree: [] },
  endedMonotonicMs: monotonicMs(),
});

/** By whose doing: only `host-failure` is what a host alone can bring about. */
export function endingOf(end: GuestEnd): GuestEnding {
  switch (end.kind) {
    case "host-failure":
      return hostFailure(end.detail);
    case "stopped":
      return withoutResult("stopped", "it was stopped, and handed in nothing in time");
    case "crashed":
      return withoutResult("vm-crashed", end.detail);
    case "finished":
      return parseWorkerResult(end.result);
  }
}

/** What can be signed of it: a host failure where it says anything that no guest process of this program does. */
export function parseWorkerResult(result: unknown): GuestEnding {
  const said = zWorkerResult.safeParse(result);
  if (!said.success || ifCanonical(() => canonicalBytes([said.data.tree, said.data.exitCode])) === null)
    return hostFailure("the guest process handed in nonsense");
  const { ending, fuel, fuelInAll, endedMonotonicMs, ...rest } = said.data;
  return {
    ...rest,
    kind: "result",
    reason: REASONS[ending],
    fuel: BigInt(fuel),
    fuelInAll: BigInt(fuelInAll),
    endedMonotonicMs: Math.min(endedMonotonicMs, monotonicMs()),
  };
}
