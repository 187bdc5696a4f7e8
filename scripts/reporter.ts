/** A vitest reporter that keeps what scripts/tally.ts adds up: counts, failures, and errors that no test caught, which vitest's JSON leaves out. */
import { writeFileSync } from "node:fs";
import path from "node:path";
import type { Reporter, TestModule } from "vitest/node";

export interface SuiteReport {
  passed: number;
  failed: number;
  skipped: number;
  /** Each what failed, where and why. */
  failures: string[];
}

const relative = (module: TestModule): string => path.relative(process.cwd(), module.moduleId);
const told = (error: { message?: string; stack?: string }): string => error.stack ?? error.message ?? String(error);

export default class TallyReporter implements Reporter {
  onTestRunEnd(
    modules: Parameters<NonNullable<Reporter["onTestRunEnd"]>>[0],
    errors: Parameters<NonNullable<Reporter["onTestRunEnd"]>>[1],
  ): void {
    const report: SuiteReport = { passed: 0, failed: 0, skipped: 0, failures: [] };
    const fail = (text: string): void => {
      report.failed++;
      report.failures.push(text);
    };
    for (const module of modules) {
      for (const test of module.children.allTests()) {
        const { state, errors: why } = test.result();
        if (state === "passed") report.passed++;
        else if (state === "skipped") report.skipped++;
        else fail(`${relative(module)}: ${test.fullName}: ${(why ?? []).map(told).join("\n") || "did not end"}`);
      }
      for (const suite of [module, ...module.children.allSuites()])
        for (const error of suite.errors()) fail(`${relative(module)}: outside its tests: ${told(error)}`);
    }
    for (const error of errors) fail(`an error that no test caught: ${told(error)}`);
    writeFileSync(process.env["TALLY_FILE"]!, JSON.stringify(report));
  }
}
