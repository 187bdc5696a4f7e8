import { expect, it } from "vitest";
import type { Payload } from "@xenoservers/protocol";
import { wasRun } from "@xenoservers/market";
import { resultProblem, type ReExecuted } from "./re-execution.ts";

const own: ReExecuted = {
  engine: "e",
  reason: "completed",
  exitCode: 0,
  fuel: 10n,
  memoryHash: "aa",
  outputDigest: "o",
  stdoutDigest: "s",
  stderrDigest: "t",
};
const manifest = (over: Partial<Payload<"result">> = {}) => ({ ...own, fuel: "10", ...over }) as Payload<"result">;

it("agrees with itself, and names the first difference", () => {
  expect(resultProblem(manifest(), own)).toBeNull();
  expect(resultProblem(manifest({ fuel: "30" }), own)).toContain("fuel 30");
  expect(resultProblem(manifest({ stdoutDigest: "x" }), own)).toContain("standard output");
  expect(resultProblem(manifest({ exitCode: 1 }), own)).toContain("exit code");
});

it("compares a run that was stopped from outside by its output alone", () => {
  const stopped = manifest({ reason: "time-limit", memoryHash: null, exitCode: null, fuel: "7" });
  expect(resultProblem(stopped, own)).toBeNull();
  expect(resultProblem({ ...stopped, stdoutDigest: "x" }, own)).toContain("standard output");
});

it("accuses nobody where nothing ran", () => {
  for (const over of [{ reason: "server-failed" }, { reason: "input-missing" }, { reason: "customer-stop", fuel: "0" }] as const) {
    expect(wasRun(manifest(over))).toBe(false);
    expect(resultProblem(manifest({ ...over, outputDigest: "x" }), own)).toBeNull();
  }
  expect(wasRun(manifest({ reason: "module-malformed", fuel: "0" }))).toBe(true);
});
