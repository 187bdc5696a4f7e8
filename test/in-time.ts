/**
 * Beside every file of a suite that has a time: from TALLY_UNTIL on (seconds since 1970) no test begins, and no file does. What is under way
 * ends as ever. Reports say what had no turn (scripts/reporter.ts).
 */
import { beforeEach } from "vitest";
import { NO_TIME, isOver } from "../scripts/time-left.ts";

/** Of vitest's own, in each of its workers: read before a file is collected. */
interface Worker {
  config: { testNamePattern?: RegExp };
}

if (isOver()) {
  // with no test that runs no file's hooks do, which make machines and markets
  const { __vitest_worker__: worker } = globalThis as unknown as { __vitest_worker__: Worker };
  worker.config.testNamePattern = /(?!)/;
}
beforeEach(({ skip }) => {
  if (isOver()) skip(NO_TIME);
});
