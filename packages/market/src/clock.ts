/**
 * A server's clock beside the market's: how far it is off, and how far it may be. A purchase order is accepted by its server's clock and
 * within a few seconds by the broker's; where the two differ by more than half of that, orders lapse that nobody refused. Who controls the
 * inputs: the server (its clock), the network (the round trip, half of which is doubt in its favour).
 */
import { spanWords } from "./duration.ts";
import type { LeaseTimings } from "./lease/timings.ts";

export interface ClockReading {
  /** Ahead of the market's; negative: behind. */
  offsetMs: number;
  /** The offset may be so much more or less. */
  errorMs: number;
}

/** By what was asked and answered: the other clock was read somewhere between these two times of one's own. */
export const clockBetween = (theirs: number, askedAt: number, answeredAt: number): ClockReading => ({
  offsetMs: Math.round(theirs - (askedAt + answeredAt) / 2),
  errorMs: Math.max(0, Math.ceil((answeredAt - askedAt) / 2)),
});

/** For people: how far a clock is off another one, the market's where no other is named. */
export const clockWords = ({ offsetMs }: Pick<ClockReading, "offsetMs">, whose = "the market's"): string =>
  `${spanWords(offsetMs)} ${offsetMs < 0 ? "behind" : "ahead of"} ${whose}`;

export const clockAllowanceMs = ({ acceptWithinMs }: Pick<LeaseTimings, "acceptWithinMs">): number => Math.floor(acceptWithinMs / 2);

/** Whether it is right for all that one can tell. */
export const clockIsRight = ({ offsetMs, errorMs }: ClockReading, allowedMs: number): boolean => Math.abs(offsetMs) - errorMs <= allowedMs;

/** Whether the second reading cannot be of a clock that went on as it was at the first. */
export const clockWasSet = (before: ClockReading, now: ClockReading, toleratedMs: number): boolean =>
  Math.abs(now.offsetMs - before.offsetMs) > before.errorMs + now.errorMs + toleratedMs;
