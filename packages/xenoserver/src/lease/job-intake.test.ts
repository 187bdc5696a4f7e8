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
