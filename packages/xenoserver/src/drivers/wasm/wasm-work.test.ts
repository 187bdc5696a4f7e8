/** What a cheating customer may bring where a referee's segment was ordered, and what is refused of any job. */
import { expect, it } from "vitest";
import { preparationFuel } from "@xenoservers/market";
import { canonicalBytes, jobHashOf, segmentHashOf, toHex, type JobSpec, type Json, type Segment } from "@xenoservers/protocol";
import { nodeCrypto } from "@xenoservers/protocol/node";
import { fakeJob } from "../../testing/fake-customer.ts";
import { orderedFor } from "../../testing/ordered.ts";
import type { WasmJob } from "../work.ts";
import { jobProblem, neededForJob } from "./wasm-work.ts";

const driver = { engine: "sim-1", doesRuns: true, hasRuntime: () => false };
const fake = fakeJob(["run"]);

function problem(part: Omit<Segment, "upTo">, fuelMax: string): string | null {
  const segment = { ...part, upTo: null };
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

function wholeProblem(over: Partial<JobSpec>, brought: Partial<WasmJob> = {}, by = driver): string | null {
  const job = { ...fake.job, ...brought, segment: null };
  const inputs = toHex(nodeCrypto.sha256(canonicalBytes(job.inputs as unknown as Json)));
  const spec = { ...fake.job.spec, stdin: "33".repeat(32), inputs, ...over };
  const ordered = orderedFor({ jobHash: jobHashOf(nodeCrypto, spec), segment: false, judges: null, fuelMax: spec.fuelMax });
  return jobProblem(nodeCrypto, by, ordered, { ...job, spec });
}

it("takes what its customer was told fits, and says in words what does not", () => {
  const mounts = [{ path: "/in", writable: false, keep: false }];
  const file = (at: string, size: number) => ({ path: at, kind: "file" as const, digest: "22".repeat(32), size });
  expect(wholeProblem({})).toBeNull();
  expect(wholeProblem({ diskMibMax: 0 })).toBeNull();
  expect(wholeProblem({ diskMibMax: 0 }, { inputs: { entries: [file("in/a", 1)], mounts } })).toContain("--disk");
  expect(wholeProblem({ diskMibMax: 1 }, { stdinSize: 2 ** 21 })).toContain("--disk");
  expect(wholeProblem({}, { inputs: { entries: [file("in/a", 0), file("in/b", 1_024)], mounts } })).toContain("two sizes");
  expect(wholeProblem({}, { inputs: { entries: [file("elsewhere/a", 0)], mounts } })).toContain("no folder");
  expect(wholeProblem({ outputMibMax: 65_000 })).toContain("--max-output");
  expect(wholeProblem({ memoryMibMax: 4_096 })).toContain("more memory than the lease");
});

it("refuses a module whose making costs all the fuel that the lease pays for, unless a referee runs what was stated", () => {
  const moduleSize = 1024 * 1024;
  const of = (fuelMax: bigint, judges: string | null, driverOf = driver): string | null => {
    const ordered = orderedFor({ jobHash: jobHashOf(nodeCrypto, fake.job.spec), segment: false, judges, fuelMax: fuelMax.toString() });
    return jobProblem(nodeCrypto, driverOf, ordered, { ...fake.job, moduleSize });
  };
  const price = preparationFuel(moduleSize);
  expect(of(price, null)).toContain("making the module ready takes 0.268");
  expect(of(1_798_560n, null)).toContain("0.00179856 Gfuel are the most");
  expect([of(price + 1n, null), of(1n, "44".repeat(32)), of(1n, null, { ...driver, hasRuntime: () => true })]).toEqual([null, null, null]);
});

it("takes a job of several runs where it does such, asks for what each reads, and runs no segment of it", () => {
  const run = { args: ["a"], env: [], stdin: "44".repeat(32), stdinSize: 3 };
  const over = { args: [], env: [], runs: [run, { ...run, stdin: "55".repeat(32), stdinSize: 4 }] };
  expect(wholeProblem(over)).toBeNull();
  expect(wholeProblem(over, {}, { ...driver, doesRuns: false })).toBe("this server does no jobs of several runs");
  const spec = { ...fake.job.spec, ...over };
  expect(neededForJob({ ...fake.job, spec }, driver).map(({ size }) => size)).toEqual([6, 0, 3, 4]);
  const segment: Segment = { from: null, step: "1000", index: 1, upTo: null };
  const jobHash = segmentHashOf(nodeCrypto, jobHashOf(nodeCrypto, spec), segment);
  const ordered = orderedFor({ jobHash, segment: true, fuelMax: "1000" });
  const part = { ...fake.job, spec, segment: { segment, pieces: [] } };
  expect(jobProblem(nodeCrypto, driver, ordered, part)).toBe("a job of several runs has no segments");
});

it("refuses a text that no order can have been signed over, and does not stumble", () => {
  const spec = { ...fake.job.spec, args: ["\ud800"] };
  expect(jobProblem(nodeCrypto, driver, orderedFor({ jobHash: "00".repeat(32) }), { ...fake.job, spec })).toContain(
    "not the one that was ordered",
  );
});
