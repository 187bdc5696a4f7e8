/** How the drill's market is set up: patient with processes that come back, and not so patient that a killed customer's lease outlives the drill. */
import type { LeaseTimings } from "@xenoservers/market";
import { PATIENT } from "../process/settings.ts";

export const DRILL_TIMINGS: LeaseTimings = {
  ...PATIENT,
  ...{ acceptWithinMs: 120_000, startWithinMs: 90_000, claimIntervalMs: 2_000, graceMs: 180_000, deliverWithinMs: 60_000 },
};

/** What the drill tells a customer's program. */
export interface CustomerTask {
  url: string;
  /** Of the party's root key, hex. */
  seed: string;
  /** Of its jobs' names: no two programs have the same. */
  name: string;
}

/** What a customer's program says, a line each. */
export type CustomerSays =
  | { said: "bound"; lease: string }
  /** `wrong`: what was not as it must be; empty when nothing. */
  | { said: "ended"; lease: string; dueNanos: string; wrong: string };
