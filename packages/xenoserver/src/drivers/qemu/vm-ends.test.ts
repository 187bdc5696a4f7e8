import { expect, it } from "vitest";
import { endedAt } from "./vm-ends.ts";

const JOB = { kind: "job" as const, exitCode: 0, tree: [], detail: "", stopped: false };

it("has a job's end when it was, where that is known, and never later than now", () => {
  expect(endedAt({ ...JOB, endedMonotonicMs: 400 }, 1_000)).toBe(400);
  expect(endedAt({ ...JOB, endedMonotonicMs: 0 }, 1_000)).toBe(0);
  expect(endedAt({ ...JOB, endedMonotonicMs: 9_000 }, 1_000)).toBe(1_000); // of a host that was restarted since
  expect(endedAt(JOB, 1_000)).toBe(1_000);
  expect(endedAt({ kind: "stopped" }, 1_000)).toBe(1_000);
});
