/** What a customer brings, against what was ordered: a job, or one segment of it. Who controls the inputs: the customer, every byte. */
import {
  blobsOfVm,
  canonicalBytes,
  jobHashOf,
  jobMisfit,
  segmentHashOf,
  toHex,
  vmJobHashOf,
  type Crypto,
  type Json,
  type Payload,
  type Segment,
} from "@xenoservers/protocol";
import type { VmDriver } from "../drivers/qemu/vm-driver.ts";
import type { JobHeader, VmJobHeader } from "../customer/attachments.ts";
import type { GuestDriver } from "../drivers/driver.ts";
import type { LeaseRecord } from "./journal.ts";
import type { NeededBlob } from "../customer/transfer.ts";

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

/** Whether the job is the one that was ordered; a text in it that no order can have been signed over makes it another. */
function isOrdered(crypto: Crypto, { jobHash, segment: isSegment }: Payload<"order">, { spec, inputs, segment }: Omit<JobHeader, "t">): boolean {
  try {
    const whole = jobHashOf(crypto, spec);
    const ordered = segment ? segmentHashOf(crypto, whole, segment.segment) : whole;
    return ordered === jobHash && isSegment === (segment !== null) && digestOf(crypto, inputs) === spec.inputs;
  } catch (error) {
    if (error instanceof TypeError) return false; // not well-formed
    throw error;
  }
}

/** Why the job is not the one that this lease is for, or cannot be run in it, in words; null when it can. */
export function jobProblem(
  crypto: Crypto,
  driver: GuestDriver,
  { resources, fuelMax }: Payload<"purchase-order">,
  order: Payload<"order">,
  job: Omit<JobHeader, "t">,
): string | null {
  const { spec, inputs, segment, stdinSize } = job;
  if (!isOrdered(crypto, order, job)) return "the job is not the one that was ordered";
  const from = segment?.segment.from ?? null;
  const checks: [boolean, string][] = [
    [segment === null || isPaidFor(segment.segment, fuelMax), "the lease does not pay for the fuel of this segment"],
    [from === null || segment!.pieces.some(({ digest }) => digest === from), "the state's manifest is missing"],
    [spec.engine === driver.engine, `this server's engine is ${driver.engine}`],
    [segment !== null || spec.fuelMax === order.fuelMax, "the job's fuel is not the order's"],
    [spec.memoryMibMax <= resources.memoryMib, "the job may use more memory than the lease has"],
    [spec.diskMibMax <= resources.diskMib, "the job may use more disk than the lease has"],
    [
      neededBlobs(job, driver).reduce((sum, { size }) => sum + size, 0) <= (resources.diskMib + resources.memoryMib) * MIB,
      "the inputs are larger than the lease",
    ],
  ];
  const wrong = checks.find(([right]) => !right)?.[1];
  return wrong ?? jobMisfit({ spec, inputs, stdinSize, moduleSize: driver.hasRuntime(spec.module) ? 0 : job.moduleSize });
}

/** Every blob of a machine that has to come: not what this customer has sent before, nor what the server fetches itself. */
export async function neededForVm({ spec, inputs, blobs }: NonNullable<LeaseRecord["vm"]>, customer: string, vms: VmDriver): Promise<NeededBlob[]> {
  const sizes = new Map(blobs.map(({ digest, size }) => [digest, size]));
  const needed: NeededBlob[] = inputs.entries.flatMap((entry): NeededBlob[] => (entry.kind === "file" ? [{ digest: entry.digest, size: entry.size }] : []));
  for (const digest of new Set(blobsOfVm(spec))) if (!(await vms.hasBlob(customer, digest))) needed.push({ digest, size: sizes.get(digest) ?? 0 });
  return needed;
}

/** Why the machine is not the one that this lease is for, in words; null when it is. */
export function vmProblem(
  crypto: Crypto,
  vms: VmDriver | null,
  { resources, egressMibMax }: Payload<"purchase-order">,
  order: Payload<"order">,
  { spec, inputs, blobs }: Omit<VmJobHeader, "t">,
): string | null {
  const deterministic = order.assurance === "deterministic-vm";
  const sent = new Set(blobs.map(({ digest }) => digest));
  const checks: [boolean, string][] = [
    [vms !== null && order.driver === "qemu", "this server runs no virtual machines"],
    [vmJobHashOf(crypto, spec) === order.jobHash, "the machine is not the one that was ordered"],
    [digestOf(crypto, inputs) === spec.inputs, "the inputs are not the ones that were ordered"],
    [blobsOfVm(spec).every((digest) => sent.has(digest)), "the machine needs bytes that are not listed"],
    [deterministic ? spec.engine === vms!.engine : spec.engine === null, `this server's QEMU is ${vms?.engine}`],
    [
      !deterministic || (spec.vm.kind === "kernel" && !spec.network && spec.vcpu === 1),
      "a deterministic machine boots a kernel and a RAM disk on one vCPU, nothing else",
    ],
    [spec.fuelMax === order.fuelMax, "the machine's fuel is not the order's"],
    [
      JSON.stringify(spec.egress) === JSON.stringify(order.egress) && (spec.egress === "none" || (spec.network && egressMibMax > 0)),
      "the machine's egress is not the order's",
    ],
    [spec.vcpu <= resources.vcpu, "the machine has more vCPUs than the lease"],
    [spec.memoryMib + vms!.overheadMib <= resources.memoryMib, `the lease's memory must hold the guest's and ${vms?.overheadMib} MiB for QEMU itself`],
    [spec.diskMib <= resources.diskMib, "the machine's disk is larger than the lease's"],
    [
      [...blobs, ...inputs.entries.flatMap((entry) => (entry.kind === "file" ? [entry] : []))].reduce((sum, { size }) => sum + size, 0) <=
        (resources.diskMib + resources.memoryMib) * MIB,
      "images and inputs are larger than the lease",
    ],
  ];
  return checks.find(([right]) => !right)?.[1] ?? null;
}
