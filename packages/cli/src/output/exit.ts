/**
 * Exit codes beside a job's own: `mismatch`: what is at hand is of another lease or job than was asked for; `broken`: the broker broke its
 * signed word; `limit`: time, fuel or budget; `xeno`: this program or the market.
 */
export const EXIT = { mismatch: 2, broken: 123, limit: 124, xeno: 125, interrupted: 130, killed: 137 } as const;
