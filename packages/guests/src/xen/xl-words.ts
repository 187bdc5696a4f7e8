/** What xl says while it works and when it fails, as it stands in a log. Pure. Who controls the inputs: the toolstack. */

/** Progress, which xl and libxc tell as they tell what went wrong. */
const IS_PROGRESS = [
  /^xc: (?:progress|info|detail)/,
  /^(?:Saving to|Loading new save file| ?Savefile contains|Parsing config from) /,
  /^migration (?:sender|target): (?:Ready|Transfer)/,
];
const saysMore = (line: string): boolean => line.trim() !== "" && !IS_PROGRESS.some((each) => each.test(line));

/** The first line that is more than progress; empty where there is none. */
export const complaintIn = (log: string): string => log.split("\n").find(saysMore) ?? "";
