/** A WebAssembly job, or one segment of it, against what was ordered. Who controls the inputs: the customer, every byte. */
import { jobHashOf, segmentHashOf, type Crypto, type Segment } from "@xenoservers/protocol";
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
  return [...module, { digest: spec.stdin, size: stdinSize }, ...files, ...(segment?.pieces ?? [])];
}

/** One step of fuel, no more: the first segment begins with the job, every other from a state. */
const isPaidFor = ({ from, step, index }: Segment, fuelMax: string): boolean =>
  BigInt(step) > 0n && BigInt(step) <= BigInt(fuelMax) && (index === 1) === (from === null);

/** Why the job is not the one that this lease is for, in words; null when it is. */
export function jobProblem(
  crypto: Crypto,
  driver: Pick<WasmDriver, "engine" | "hasRuntime">,
  { po: { resources, fuelMax }, order }: Ordered,
  job: WasmJob,
): string | null {
  const { spec, inputs, segment } = job;
  const whole = jobHashOf(crypto, spec);
  const ordered = segment ? segmentHashOf(crypto, whole, segment.segment) : whole;
  const from = segment?.segment.from ?? null;
  const bytes = neededForJob(job, driver).reduce((sum, { size }) => sum + size, 0);
  return firstProblem([
    [ordered === order.jobHash && order.segment === (segment !== null), "the job is not the one that was ordered"],
    [segment === null || isPaidFor(segment.segment, fuelMax), "the lease does not pay for the fuel of this segment"],
    [from === null || segment?.pieces.some(({ digest }) => digest === from) === true, "the state's manifest is missing"],
    [digestOf(crypto, inputs) === spec.inputs, "the inputs are not the ones that were ordered"],
    [spec.engine === driver.engine, `this server's engine is ${driver.engine}`],
    [segment !== null || spec.fuelMax === order.fuelMax, "the job's fuel is not the order's"],
    [spec.memoryMibMax <= resources.memoryMib, "the job may use more memory than the lease has"],
    [spec.diskMibMax <= resources.diskMib, "the job may use more disk than the lease has"],
    [bytes <= (resources.diskMib + resources.memoryMib) * MIB, "the inputs are larger than the lease"],
  ]);
}
