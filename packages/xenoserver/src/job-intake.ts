/** What a customer brings, against what was ordered: a job, or one segment of it. Who controls the inputs: the customer, every byte. */
import { canonicalBytes, jobHashOf, segmentHashOf, toHex, type Crypto, type Json, type Payload, type Segment } from "@xenoservers/protocol";
import type { JobHeader } from "./attachments.ts";
import type { GuestDriver } from "./driver.ts";
import type { LeaseRecord } from "./journal.ts";
import type { NeededBlob } from "./transfer.ts";

const MIB = 1024 * 1024;

export const digestOf = (crypto: Crypto, value: unknown): string => toHex(crypto.sha256(canonicalBytes(value as Json)));

/** Every blob that has to come; the server's own runtimes are here. */
export function neededBlobs({ spec, inputs, moduleSize, stdinSize, segment }: NonNullable<LeaseRecord["job"]>, driver: GuestDriver): NeededBlob[] {
  const files = inputs.entries.flatMap((entry): NeededBlob[] => (entry.kind === "file" ? [{ digest: entry.digest, size: entry.size }] : []));
  const module = driver.hasRuntime(spec.module) ? [] : [{ digest: spec.module, size: moduleSize }];
  return [...module, { digest: spec.stdin, size: stdinSize }, ...files, ...(segment?.pieces ?? [])];
}

/** One step of fuel, no more: the first segment begins with the job, every other from a state. */
const isPaidFor = ({ from, step, index }: Segment, fuelMax: string): boolean =>
  BigInt(step) > 0n && BigInt(step) <= BigInt(fuelMax) && (index === 1) === (from === null);

/** Why the job is not the one that this lease is for, in words; null when it is. */
export function jobProblem(
  crypto: Crypto,
  driver: GuestDriver,
  { resources, fuelMax }: Payload<"purchase-order">,
  order: Payload<"order">,
  job: Omit<JobHeader, "t">,
): string | null {
  const { spec, inputs, segment } = job;
  const whole = jobHashOf(crypto, spec);
  const ordered = segment ? segmentHashOf(crypto, whole, segment.segment) : whole;
  const from = segment?.segment.from ?? null;
  const checks: [boolean, string][] = [
    [ordered === order.jobHash && order.segment === (segment !== null), "the job is not the one that was ordered"],
    [segment === null || isPaidFor(segment.segment, fuelMax), "the lease does not pay for the fuel of this segment"],
    [from === null || segment!.pieces.some(({ digest }) => digest === from), "the state's manifest is missing"],
    [digestOf(crypto, inputs) === spec.inputs, "the inputs are not the ones that were ordered"],
    [spec.engine === driver.engine, `this server's engine is ${driver.engine}`],
    [segment !== null || spec.fuelMax === order.fuelMax, "the job's fuel is not the order's"],
    [spec.memoryMibMax <= resources.memoryMib, "the job may use more memory than the lease has"],
    [spec.diskMibMax <= resources.diskMib, "the job may use more disk than the lease has"],
    [
      neededBlobs(job, driver).reduce((sum, { size }) => sum + size, 0) <= (resources.diskMib + resources.memoryMib) * MIB,
      "the inputs are larger than the lease",
    ],
  ];
  return checks.find(([right]) => !right)?.[1] ?? null;
}
