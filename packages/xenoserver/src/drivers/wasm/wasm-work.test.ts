/** What a cheating customer may bring where a referee's segment was ordered, and what is refused of any job. */
import { expect, it } from "vitest";
import { jobHashOf, segmentHashOf, type Segment } from "@xenoservers/protocol";
import { nodeCrypto } from "@xenoservers/protocol/node";
import { fakeJob } from "../../testing/fake-customer.ts";
import { orderedFor } from "../../testing/ordered.ts";
import { jobProblem, neededForJob } from "./wasm-work.ts";

const driver = { engine: "sim-1", hasRuntime: () => false };
const fake = fakeJob(["run"]);

function problem(segment: Segment, fuelMax: string): string | null {
  const jobHash = segmentHashOf(nodeCrypto, jobHashOf(nodeCrypto, fake.job.spec), segment);
  const pieces = segment.from === null ? [] : [{ digest: segment.from, size: 10 }];
  return jobProblem(nodeCrypto, driver, orderedFor({ jobHash, segment: true, fuelMax }), { ...fake.job, segment: { segment, pieces } });
}

it("runs a segment of a job, and no more of it than the lease pays for", () => {
  expect(problem({ from: null, step: "1000", index: 1 }, "1000")).toBeNull();
  expect(problem({ from: "11".repeat(32), step: "1000", index: 7 }, "1000")).toBeNull();
  const unpaid = expect.stringContaining("does not pay");
  expect(problem({ from: null, step: "1001", index: 1 }, "1000")).toEqual(unpaid);
  expect(problem({ from: null, step: "1000", index: 7 }, "1000")).toEqual(unpaid);
  expect(problem({ from: "11".repeat(32), step: "1000", index: 1 }, "1000")).toEqual(unpaid);
  expect(problem({ from: null, step: "0", index: 1 }, "1000")).toEqual(unpaid);
});

it("asks for every blob that is not here, each at the size that was said", () => {
  const { job } = fake;
  expect(neededForJob(job, { hasRuntime: () => true })).toEqual([{ digest: job.spec.stdin, size: 0 }]);
  const entries = [{ path: "a", kind: "file" as const, digest: "22".repeat(32), size: 5 }];
  const needed = neededForJob({ ...job, inputs: { entries, mounts: [] } }, driver);
  expect(needed.map(({ size }) => size)).toEqual([6, 0, 5]);
});
