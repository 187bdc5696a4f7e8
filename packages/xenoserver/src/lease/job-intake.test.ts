/** What a cheating customer may bring where a referee's segment was ordered. */
import { expect, it } from "vitest";
import { canonicalBytes, jobHashOf, segmentHashOf, toHex, type JobSpec, type Json, type Payload, type Segment } from "@xenoservers/protocol";
import { createSigner, nodeCrypto } from "@xenoservers/protocol/node";
import type { GuestDriver } from "../drivers/driver.ts";
import { jobProblem } from "./job-intake.ts";
import type { LeaseRecord } from "./journal.ts";
import { NOTHING_RAN, signResult } from "./manifest.ts";
import type { RunnerWorld } from "./runner-world.ts";

const zero = "00".repeat(32);
const inputs = { entries: [], mounts: [] };
const spec: JobSpec = {
  module: zero,
  args: [],
  env: [],
  inputs: toHex(nodeCrypto.sha256(canonicalBytes(inputs as unknown as Json))),
  stdin: zero,
  engine: "e",
  memoryMibMax: 16,
  diskMibMax: 16,
  outputMibMax: 1,
  fuelMax: "1000000",
  seed: zero,
  clockBaseMs: 0,
};
const driver = { engine: "e", hasRuntime: () => true } as unknown as GuestDriver;

function problem(segment: Segment, fuelMax: string): string | null {
  const jobHash = segmentHashOf(nodeCrypto, jobHashOf(nodeCrypto, spec), segment);
  const po = { resources: { vcpu: 1, memoryMib: 16, diskMib: 16 }, fuelMax } as Payload<"purchase-order">;
  const order = { jobHash, segment: true, fuelMax } as Payload<"order">;
  const pieces = segment.from === null ? [] : [{ digest: segment.from, size: 10 }];
  return jobProblem(nodeCrypto, driver, po, order, { spec, inputs, moduleSize: 0, stdinSize: 0, segment: { segment, pieces } });
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

it("signs no state where a segment could not be begun, so that it convicts nobody", () => {
  const world = { crypto: nodeCrypto, signer: createSigner(new Uint8Array(32).fill(1)), server: `s_${"0".repeat(40)}`, driver } as unknown as RunnerWorld;
  const record = { lease: zero, openingId: zero, job: { segment: {} } } as unknown as LeaseRecord;
  const root = (reason: "completed" | "module-malformed") =>
    signResult(world, record, { origin: "o", jobHash: zero }, { ...NOTHING_RAN, reason }, { stdoutDigest: zero, stderrDigest: zero }).payload.stateRoot;
  expect(root("completed")).not.toBeNull();
  expect(root("module-malformed")).toBeNull();
});

const stdin = "11".repeat(32);
function wholeProblem(over: Partial<JobSpec>, brought: LeaseRecord["job"] extends infer J ? Partial<NonNullable<J>> : never = {}): string | null {
  const tree = brought.inputs ?? inputs;
  const changed = { ...spec, stdin, inputs: toHex(nodeCrypto.sha256(canonicalBytes(tree as unknown as Json))), ...over };
  const po = { resources: { vcpu: 1, memoryMib: 16, diskMib: 16 }, fuelMax: spec.fuelMax } as Payload<"purchase-order">;
  const order = { jobHash: jobHashOf(nodeCrypto, changed), segment: false, fuelMax: spec.fuelMax } as Payload<"order">;
  return jobProblem(nodeCrypto, driver, po, order, { inputs: tree, moduleSize: 0, stdinSize: 0, segment: null, ...brought, spec: changed });
}

it("takes what its customer was told fits, and says in words what does not", () => {
  const mounts = [{ path: "/in", writable: false, keep: false }];
  const file = (at: string, size: number) => ({ path: at, kind: "file" as const, digest: "22".repeat(32), size });
  expect(wholeProblem({})).toBeNull();
  expect(wholeProblem({ diskMibMax: 0 })).toBeNull();
  expect(wholeProblem({ diskMibMax: 0 }, { inputs: { entries: [file("in/a", 1)], mounts } })).toContain("--disk");
  expect(wholeProblem({ diskMibMax: 1 }, { stdinSize: 2 ** 21 })).toContain("--disk");
  expect(wholeProblem({}, { inputs: { entries: [file("in/a", 0), file("in/b", 2 ** 20)], mounts } })).toContain("two sizes");
  expect(wholeProblem({}, { inputs: { entries: [file("elsewhere/a", 0)], mounts } })).toContain("no folder");
  expect(wholeProblem({ outputMibMax: 65 })).toContain("--max-output");
  expect(wholeProblem({ memoryMibMax: 17 })).toContain("more memory than the lease");
});

it("refuses a text that no order can have been signed over, and does not stumble", () => {
  const po = { resources: { vcpu: 1, memoryMib: 16, diskMib: 16 }, fuelMax: spec.fuelMax } as Payload<"purchase-order">;
  const order = { jobHash: zero, segment: false, fuelMax: spec.fuelMax } as Payload<"order">;
  const bad = { ...spec, args: ["\ud800"] };
  expect(jobProblem(nodeCrypto, driver, po, order, { spec: bad, inputs, moduleSize: 0, stdinSize: 0, segment: null })).toContain(
    "not the one that was ordered",
  );
});
