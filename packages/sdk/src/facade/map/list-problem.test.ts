import { toHex, utf8, type RunEnd } from "@xenoservers/protocol";
import { systemCrypto } from "@xenoservers/protocol/system";
import { expect, it } from "vitest";
import type { JobResult } from "../job-result.ts";
import { listProblem } from "./list-problem.ts";

const digest = (text: string): string => toHex(systemCrypto.sha256(utf8(text)));
const end = (stdout: string, stderr = "", more: Partial<RunEnd> = {}): RunEnd => ({
  ...{ ending: "exit", exitCode: 0, fuel: "1", memoryHash: null },
  ...{ stdoutBytes: utf8(stdout).length, stdoutDigest: digest(stdout), stderrBytes: utf8(stderr).length, stderrDigest: digest(stderr) },
  ...more,
});
const whole = (stdout: string, stderr = "", reason: JobResult["end"]["reason"] = "completed", isCut = false) => ({
  ...{ delivered: "server" as const, printed: { stdout: utf8(stdout), stderr: utf8(stderr) }, isCut },
  end: { reason, blame: "nobody", at: 0, audited: null },
});
const LISTED = { isThere: true, count: 2 };
const TRAP = { ending: "trap", exitCode: 134 } as const;

it("finds nothing in a list that can be so: all of them, up to one that trapped, up to a limit, beyond what is held here", () => {
  expect(listProblem(whole("ab", "x"), [end("a", "x"), end("b")], LISTED)).toBeNull();
  expect(listProblem(whole("a"), [end("a", "", TRAP)], LISTED)).toBeNull();
  expect(listProblem(whole("abc", "", "fuel-limit"), [end("a")], LISTED)).toBeNull();
  expect(listProblem(whole("ab", "", "completed", true), [end("a"), end("bcd")], LISTED)).toBeNull();
  expect(listProblem(whole("a"), [end("a")], { isThere: true, count: null })).toBeNull();
});

it("says nothing of a list that was not brought, or that a limit kept from being left", () => {
  expect(listProblem({ ...whole("a"), delivered: null }, null, { isThere: false, count: 2 })).toBeNull();
  expect(listProblem(whole("a", "", "output-limit"), null, { isThere: false, count: 2 })).toBeNull();
});

it.each<[string, Parameters<typeof listProblem>]>([
  ["has no list", [whole("a"), null, { isThere: false, count: 2 }]],
  ["has no list", [whole("a", "", "fuel-limit"), null, LISTED]],
  ["lists 1 of its 2 runs", [whole("a"), [end("a")], LISTED]],
  ["lists 0 of its 2 runs", [whole(""), [], LISTED]],
  ["lists another stdout of run 0", [whole("ab"), [end("b"), end("a")], LISTED]],
  ["lists another stderr of run 1", [whole("ab", "xy"), [end("a", "x"), end("b", "z")], LISTED]],
  ["lists more of stdout", [whole("ab"), [end("a"), end("bc")], LISTED]],
  ["lists less of stdout", [whole("abc"), [end("a"), end("b")], LISTED]],
  ["lists another stdout of run 0", [whole("ab", "", "completed", true), [end("c"), end("bcd")], LISTED]],
])("%s", (says, given) => {
  expect(listProblem(...given)).toContain(says);
});
