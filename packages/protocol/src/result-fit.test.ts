import { expect, it } from "vitest";
import type { InputEntry } from "./channel/channel-messages.ts";
import { canonicalBytes } from "./canonical.ts";
import { RESULT_BYTES_MAX, SEALED_PARTS_MAX, SEALED_PART_BYTES_MAX, SEAL_BYTES, STREAM_MIB_MAX, filesProblem } from "./result-fit.ts";
import { JOB_LIMITS } from "./job-fit.ts";

const MIB = 1024 * 1024;
const file = (path: string, digit: string, size: number): InputEntry => ({ path, kind: "file", digest: digit.repeat(64), size });
const NO_STREAMS = { stdoutSize: 0, stderrSize: 0 };
/** How many bytes of files fit beside a list of one file. */
const left = RESULT_BYTES_MAX - canonicalBytes({ tree: [file("out/a", "1", RESULT_BYTES_MAX)], ...NO_STREAMS }).length;

it("counts files, streams and the list itself, to the byte", () => {
  expect(filesProblem([file("out/a", "1", left)], NO_STREAMS)).toBeNull();
  expect(filesProblem([file("out/a", "1", left + 1)], NO_STREAMS)).toContain("1024 MiB");
  expect(filesProblem([file("out/a", "1", left - 1)], { stdoutSize: 1, stderrSize: 1 })).toContain("1024 MiB");
});

it("counts a file of many names once", () => {
  const names = ["a", "b", "c"].map((name) => file(`out/${name}`, "1", RESULT_BYTES_MAX / 2));
  expect(filesProblem(names, NO_STREAMS)).toBeNull();
  expect(filesProblem([...names, file("out/d", "2", RESULT_BYTES_MAX / 2)], NO_STREAMS)).not.toBeNull();
});

it("leaves room for both streams beside the longest list, and parts for all of it", () => {
  expect(2 * STREAM_MIB_MAX * MIB + JOB_LIMITS.treeBytes).toBeLessThan(RESULT_BYTES_MAX);
  expect(SEALED_PARTS_MAX * (SEALED_PART_BYTES_MAX - SEAL_BYTES)).toBeGreaterThanOrEqual(RESULT_BYTES_MAX + 4);
});
