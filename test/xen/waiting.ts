/** How suites in this folder wait: all is emulated, beside whatever else the machine does, and only what hangs meets the limit. */
import { until as untilWithin } from "../until.ts";

/** Less than the runner's own limit on a test. */
export const HANGS_MS = 1_800_000;
/** A look into dom0 is some processes on its one processor, which what is waited for needs. */
const LOOK_EVERY_MS = 2_000;

export const until = (condition: () => boolean | Promise<boolean>, everyMs?: number): Promise<void> =>
  untilWithin(condition, everyMs, HANGS_MS);

/** Of what is asked in dom0. */
export const untilThere = (condition: () => Promise<boolean>): Promise<void> => until(condition, LOOK_EVERY_MS);
