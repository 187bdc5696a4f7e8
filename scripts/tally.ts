/**
 * Adds up the suites' reports in a folder, names what failed, and prints the plain closing line. Each demo counts as one test, and so does a step
 * that failed without saying why (NAME.rc holds its exit code). What each step took (NAME.seconds), the files that took longest, and those
 * for which no time was left, stand before them.
 */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import type { SuiteReport } from "./reporter.ts";

const SHOWN_CHARS = 2_000;
const SHOWN_FILES = 12;
const folder = process.argv[2]!;
const totals: SuiteReport = { passed: 0, failed: 0, skipped: 0, failures: [], files: [], untimely: [] };

const steps = readdirSync(folder)
  .filter((file) => file.endsWith(".rc"))
  .map((file) => file.slice(0, -3));
const kept = (file: string): string => readFileSync(path.join(folder, file), "utf8").trim();

for (const step of steps) {
  const code = kept(`${step}.rc`);
  const file = path.join(folder, `${step}.json`);
  const text = existsSync(file) ? readFileSync(file, "utf8") : "";
  const report = text.startsWith("{") ? (JSON.parse(text) as Partial<SuiteReport> & { ok?: boolean }) : {};
  totals.passed += report.passed ?? (report.ok === true && code === "0" ? 1 : 0);
  totals.failed += report.failed ?? 0;
  totals.skipped += report.skipped ?? 0;
  totals.failures.push(...(report.failures ?? []).map((why) => `${step}: ${why}`));
  totals.files.push(...(report.files ?? []));
  totals.untimely.push(...(report.untimely ?? []));
  if (code !== "0" && !report.failed) {
    totals.failed++;
    totals.failures.push(`${step}: ended with exit code ${code}`);
  } else if (code === "0" && report.passed === undefined && report.ok !== true) {
    totals.failed++;
    totals.failures.push(`${step}: left no report`);
  }
}
console.log(steps.map((step) => `${step} ${kept(`${step}.seconds`)} s`).join(", "));
const slowest = totals.files.toSorted(([, a], [, b]) => b - a).slice(0, SHOWN_FILES);
if (slowest.length > 0) console.log(`longest: ${slowest.map(([file, took]) => `${file} ${took} s`).join(", ")}`);
if (totals.untimely.length > 0) console.log(`NO TIME LEFT, skipped whole or in part: ${totals.untimely.join(" ")}`);
for (const why of totals.failures) console.log(`FAILED ${why.slice(0, SHOWN_CHARS)}`);
console.log(`${totals.passed} passed, ${totals.failed} failed, ${totals.skipped} skipped`);
process.exitCode = totals.failed > 0 || totals.passed === 0 ? 1 : 0;
