/** Adds up the runners' reports, names what failed, and prints the plain closing line. Each demo counts as one test. */
import { readFileSync } from "node:fs";

const SHOWN_CHARS = 1_500;
const totals = { passed: 0, failed: 0, skipped: 0 };
for (const file of process.argv.slice(2)) {
  const report = JSON.parse(readFileSync(file, "utf8")) as {
    ok?: boolean;
    numPassedTests?: number;
    numFailedTests?: number;
    numPendingTests?: number;
    numTodoTests?: number;
    success?: boolean;
    testResults?: { name: string; status: string; message?: string; assertionResults: { fullName: string; status: string; failureMessages?: string[] }[] }[];
  };
  for (const { name, status, message, assertionResults } of report.testResults ?? []) {
    if (status !== "passed" && message) console.log(`FAILED ${name}: ${message.slice(0, SHOWN_CHARS)}`);
    for (const { fullName, status: each, failureMessages } of assertionResults)
      if (each === "failed") console.log(`FAILED ${name}: ${fullName}\n${(failureMessages?.[0] ?? "").slice(0, SHOWN_CHARS)}`);
  }
  if (report.numPassedTests === undefined) totals[report.ok === true ? "passed" : "failed"]++;
  else {
    totals.passed += report.numPassedTests;
    totals.failed += report.numFailedTests ?? 0;
    totals.skipped += (report.numPendingTests ?? 0) + (report.numTodoTests ?? 0);
    if (report.success === false && (report.numFailedTests ?? 0) === 0) totals.failed++; // a file that could not be loaded
  }
}
console.log(`${totals.passed} passed, ${totals.failed} failed, ${totals.skipped} skipped`);
process.exitCode = totals.failed > 0 || totals.passed === 0 ? 1 : 0;
