/** What came of each run of a lease of several, by how the lease ended and how many were done: total, for every end. */
import type { EndReason } from "@xenoservers/market";

/**
 * What follows for a run that was not done in a lease that ended so. `anew`: it is ordered again, by itself or with others. `limit`: the
 * one that was under way by itself, with all that one job may use, the others as before. `apart`: each by itself, for it may have been the
 * others' doing. `ended`: the lease's end is its own.
 */
const OF_THE_REST: Readonly<Record<EndReason, "anew" | "apart" | "limit" | "ended">> = {
  completed: "anew",
  "fuel-limit": "limit",
  budget: "limit",
  "time-limit": "limit",
  "memory-limit": "apart",
  "output-limit": "apart",
  "vm-crashed": "apart",
  "module-malformed": "apart",
  "job-refused": "apart",
  "segment-end": "ended",
  "image-refused": "ended",
  "image-unfetched": "ended",
  "input-missing": "ended",
  "guest-panic": "ended",
  "customer-stop": "ended",
  "owner-stop": "ended",
  "server-failed": "ended",
  "server-unreachable": "ended",
  "not-accepted": "ended",
  "not-started": "ended",
  "not-revealed": "ended",
  "not-delivered": "ended",
  "broker-failed": "ended",
};

/** What came of a run: `done`, with an end of its own; or not, and how it goes on. `wrong`: what its server signed cannot all be so. */
export const RUN_STATES = ["done", "anew", "apart", "wrong", "ended"] as const;
export type RunState = (typeof RUN_STATES)[number];

/** `done`: so many from the first on were; null: nobody knows which, for the list is not here. */
export function stateOf(index: number, done: number | null, reason: EndReason): RunState {
  if (done !== null && index < done) return "done";
  const rest = OF_THE_REST[reason];
  if (rest === "ended") return "ended";
  if (done === null) return "apart";
  if (index > done) return rest === "apart" ? "apart" : "anew";
  // whoever does none of several is not asked again for as many
  return rest === "anew" && done > 0 ? "anew" : "apart";
}
