/** Until when tests of a suite begin: TALLY_UNTIL, in seconds since 1970; absent: without end. */

/** What is noted of a test that had no turn. */
export const NO_TIME = "no time left";

export const isOver = (): boolean => Date.now() >= Number(process.env["TALLY_UNTIL"] ?? Infinity) * 1_000;
