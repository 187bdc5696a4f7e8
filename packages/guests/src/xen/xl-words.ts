/** What xl says while it works and when it fails, as it stands in a log. Pure. Who controls the inputs: the toolstack. */

/** Progress, which libxc tells as it tells what went wrong. */
const IS_PROGRESS =
  /^(?:xc: (?:progress|info|detail)|Saving to |Loading new save file | ?Savefile contains |Parsing config from |migration (?:sender|target): (?:Ready|Transfer))/;

/** The first line that is more than progress; empty where there is none. */
export const complaintIn = (log: string): string => log.split("\n").find((line) => line.trim() !== "" && !IS_PROGRESS.test(line)) ?? "";
