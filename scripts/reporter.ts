/**
 * A vitest reporter that keeps what scripts/tally.ts adds up: counts, failures, errors that no test caught, which vitest's JSON leaves out,
 * and how long each file took. Where the run is ended (SIGTERM) it tells what had passed until then, and what had not ended. Files that had
 * no turn before TALLY_UNTIL (test/in-time.ts), or not to their end, are named.
 */
import { writeFileSync } from "node:fs";
import path from "node:path";
import { NO_TIME, isOver } from "./time-left.ts";
import type { Reporter, TestCase, TestModule } from "vitest/node";

export interface SuiteReport {
  passed: number;
  failed: number;
  skipped: number;
  /** Each what failed, where and why. */
  failures: string[];
  /** How long each file took, in seconds. */
  files: [file: string, seconds: number][];
  /** Files whose tests were left out, all or some of them, since there was no time for them. */
  untimely: string[];
}

const relative = (module: TestModule): string => path.relative(process.cwd(), module.moduleId);
const told = (error: { message?: string; stack?: string }): string => error.stack ?? error.message ?? String(error);
const nameOf = (test: TestCase): string => `${relative(test.module)}: ${test.fullName}`;
const seconds = (since: number): number => Math.round((performance.now() - since) / 1000);

/** Whether tests of it were left out for want of time (test/in-time.ts). Of a file that had no turn at all nobody notes why. */
function isUntimely(module: TestModule): boolean {
  const skipped = [...module.children.allTests()].map((test) => test.result()).filter(({ state }) => state === "skipped");
  return skipped.some((result) => isOver() || ("note" in result && result.note === NO_TIME));
}

/** What came of the tests of these files. */
function count(modules: readonly TestModule[]): SuiteReport {
  const report: SuiteReport = { passed: 0, failed: 0, skipped: 0, failures: [], files: [], untimely: [] };
  for (const module of modules) {
    for (const test of module.children.allTests()) {
      const { state, errors: why } = test.result();
      if (state === "passed") report.passed++;
      else if (state === "skipped") report.skipped++;
      else fail(report, `${nameOf(test)}: ${(why ?? []).map(told).join("\n") || "did not end"}`);
    }
    for (const suite of [module, ...module.children.allSuites()])
      for (const error of suite.errors()) fail(report, `${relative(module)}: outside its tests: ${told(error)}`);
  }
  return report;
}

function fail(report: SuiteReport, why: string): void {
  report.failed++;
  report.failures.push(why);
}

export default class TallyReporter implements Reporter {
  readonly #ended = new Set<TestModule>();
  /** What runs, and since when. */
  readonly #files = new Map<TestModule, number>();
  readonly #tests = new Map<TestCase, number>();
  readonly #took: SuiteReport["files"] = [];
  readonly #untimely: string[] = [];

  onInit(): void {
    process.once("SIGTERM", () => {
      this.#write(this.#soFar());
      process.exit(143);
    });
  }

  onTestModuleStart(module: TestModule): void {
    this.#files.set(module, performance.now());
  }

  onTestModuleEnd(module: TestModule): void {
    this.#took.push([relative(module), seconds(this.#files.get(module) ?? performance.now())]);
    if (isUntimely(module)) this.#untimely.push(relative(module));
    this.#files.delete(module);
    this.#ended.add(module);
  }

  onTestCaseReady(test: TestCase): void {
    this.#tests.set(test, performance.now());
  }

  onTestCaseResult(test: TestCase): void {
    this.#tests.delete(test);
  }

  onTestRunEnd(modules: readonly TestModule[], errors: Parameters<NonNullable<Reporter["onTestRunEnd"]>>[1]): void {
    const report = count(modules);
    for (const error of errors) fail(report, `an error that no test caught: ${told(error)}`);
    this.#write(report);
  }

  /** As it stands in the midst of a run. */
  #soFar(): SuiteReport {
    const report = count([...this.#ended]);
    for (const [test, since] of this.#tests) fail(report, `${nameOf(test)}: had not ended after ${seconds(since)} s, as the run was`);
    const busy = new Set([...this.#tests.keys()].map((test) => test.module));
    for (const [module, since] of this.#files)
      if (!busy.has(module)) fail(report, `${relative(module)}: had not ended after ${seconds(since)} s, as the run was`);
    if (report.failed === 0) fail(report, "the run was ended between two of its files");
    return report;
  }

  #write(report: SuiteReport): void {
    writeFileSync(process.env["TALLY_FILE"]!, JSON.stringify({ ...report, files: this.#took, untimely: this.#untimely }));
  }
}
