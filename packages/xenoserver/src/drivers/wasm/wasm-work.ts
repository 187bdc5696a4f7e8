/** A WebAssembly job, or one segment of it, against what was ordered. Who controls the inputs: the customer, every byte. */
import {
  ifCanonical,
  jobHashOf,
  jobMisfit,
  preparationProblem,
  segmentHashOf,
  type Crypto,
  type Payload,
  type Segment,
} from "@xenoservers/protocol";
import { digestOf, firstProblem } from "../checks.ts";
import type { NeededBlob, Ordered } from "../driver.ts";
import type { WasmJob } from "../work.ts";
import type { WasmDriver } from "./wasm-job.ts";

const MIB = 1024 * 1024;

/** Every blob that has to come; the server's own runtimes are here. */
export function neededForJob(
  { spec, inputs, moduleSize, stdinSize, segment }: WasmJob,
  driver: Pick<WasmDriver, "hasRuntime">,
): NeededBlob[] {
  const files = inputs.entries.flatMap((entry): NeededBlob[] =>
    entry.kind === "file" ? [{ digest: entry.digest, size: entry.size }] : [],
  );
  const module = driver.hasRuntime(spec.module) ? [] : [{ digest: spec.module, size: moduleSize }];
  const read = (spec.runs ?? []).map((run): NeededBlob => ({ digest: run.stdin, size: run.stdinSize }));
  return [...module, { digest: spec.stdin, size: stdinSize }, ...read, ...files, ...(segment?.pieces ?? [])];
}

/** One step of fuel, no more: the first segment begins with the job, every other from a state. */
const isPaidFor = ({ from, step, index }: Segment, fuelMax: string): boolean =>
  BigInt(step) > 0n && BigInt(step) <= BigInt(fuelMax) && (index === 1) === (from === null);

/** Whether the job is the one that was ordered; a text in it that no order can have been signed over makes it another. */
function isOrdered(crypto: Crypto, { jobHash, segment: isSegment }: Payload<"order">, { spec, inputs, segment }: WasmJob): boolean {
  const ordered = ifCanonical(() => {
    const whole = jobHashOf(crypto, spec);
    return segment ? segmentHashOf(crypto, whole, segment.segment) : whole;
  });
  return ordered === jobHash && isSegment === (segment !== null) && ifCanonical(() => digestOf(crypto, inputs)) === spec.inputs;
}

/** Why the job is not the one that this lease is for, or cannot be run in it, in words; null when it can. */
export function jobProblem(
  crypto: Crypto,
  driver: Pick<WasmDriver, "engine" | "doesRuns" | "hasRuntime">,
  { po: { resources, fuelMax }, order }: Ordered,
  job: WasmJob,
): string | null {
  const { spec, inputs, segment, stdinSize } = job;
  if (!isOrdered(crypto, order, job)) return "the job is not the one that was ordered";
  const from = segment?.segment.from ?? null;
  const bytes = neededForJob(job, driver).reduce((sum, { size }) => sum + size, 0);
  const wrong = firstProblem([
    [segment === null || isPaidFor(segment.segment, fuelMax), "the lease does not pay for the fuel of this segment"],
    [segment === null || spec.runs === undefined, "a job of several runs has no segments"],
    [from === null || segment?.pieces.some(({ digest }) => digest === from) === true, "the state's manifest is missing"],
    [spec.engine === driver.engine, `this server's engine is ${driver.engine}`],
    [driver.doesRuns || spec.runs === undefined, "this server does no jobs of several runs"],
    [segment !== null || BigInt(order.fuelMax) <= BigInt(spec.fuelMax), "more fuel is ordered than the job may use"],
    [spec.memoryMibMax <= resources.memoryMib, "the job may use more memory than the lease has"],
    [spec.diskMibMax <= resources.diskMib, "the job may use more disk than the lease has"],
    [bytes <= (resources.diskMib + resources.memoryMib) * MIB, "the inputs are larger than the lease"],
  ]);
  const moduleSize = driver.hasRuntime(spec.module) ? 0 : job.moduleSize;
  // a segment's lease pays for one step of its job's fuel, a referee's for as much as was stated: what is stated wrongly must run too
  const unprepared = segment === null && order.judges === null ? preparationProblem(moduleSize, BigInt(fuelMax)) : null;
  return wrong ?? unprepared ?? jobMisfit({ spec, inputs, stdinSize, moduleSize });
}
