/** What tests of guests' clocks share. */

export const STILL_MS = 5_000;

/** As long as a machine stands still: its clocks must not have seen it, however slow this machine is. */
export const still = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, STILL_MS));

/** Whether a guest's time of day, read since `askedMs` of this machine's, is right to so many milliseconds. */
export const isRight = (guestMs: number, askedMs: number, offByMs: number): boolean =>
  guestMs > askedMs - offByMs && guestMs < Date.now() + offByMs;
