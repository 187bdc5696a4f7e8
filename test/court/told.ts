/** What became of one lie. */
import type { Place } from "./lie.ts";

/** `gain`: it paid, or somebody else has lost by it. */
export type Outcome = "refused" | "convicted" | "harmless" | "another contract" | "gain";

export interface Told {
  lie: Place;
  /** The field that is other than it should be; empty where bytes were damaged. */
  field: string;
  outcome: Outcome;
  /** In words: of a gain, who has what by it. */
  why: string;
  /** How its lease ended, and how it would have. */
  end: string;
  endWithout: string;
  /** Whether a referee ran one segment of the job alone. */
  isSegment: boolean;
  /** Whether the customer's own machine shows it, whoever takes it. */
  isShown: boolean;
}
