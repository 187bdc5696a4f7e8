/** A domain against what was ordered. Who controls the inputs: the customer, every byte. */
import { blobsOfVm, domainOverheadMib, ifCanonical, vmInputsProblem, vmJobHashOf, vmSpecProblem, type Crypto } from "@xenoservers/protocol";
import { deviceModelMibOf, domainProblem, type Bootable } from "@xenoservers/guests";
import { digestOf, egressCheck, firstProblem } from "../checks.ts";
import type { NeededBlob, Ordered } from "../driver.ts";
import { filesOf } from "../qemu/machine-work.ts";
import type { MachineJob } from "../work.ts";

const MIB = 1024 * 1024;

export function neededForDomain(job: MachineJob): NeededBlob[] {
  const sizes = new Map(job.blobs.map(({ digest, size }) => [digest, size]));
  return [...filesOf(job), ...[...new Set(blobsOfVm(job.spec))].map((digest) => ({ digest, size: sizes.get(digest) ?? 0 }))];
}

/** Why the machine is not the one that this lease is for, or no domain, in words; null when it can run. */
export function domainWorkProblem(crypto: Crypto, ordered: Ordered, job: MachineJob, bootable: Bootable): string | null {
  const { spec, inputs, blobs } = job;
  const {
    po: { resources },
    order,
  } = ordered;
  const sent = new Set(blobs.map(({ digest }) => digest));
  const bytes = [...blobs, ...filesOf(job)].reduce((sum, { size }) => sum + size, 0);
  const deviceModelMib = deviceModelMibOf(spec, bootable);
  const ownMib = domainOverheadMib(spec) + deviceModelMib;
  const wrong = firstProblem([
    [ifCanonical(() => vmJobHashOf(crypto, spec)) === order.jobHash, "the machine is not the one that was ordered"],
    [ifCanonical(() => digestOf(crypto, inputs)) === spec.inputs, "the inputs are not the ones that were ordered"],
    [
      spec.vm.kind === "oci" || inputs.entries.length + inputs.mounts.length === 0,
      "a domain takes its inputs from its RAM disk or its disk",
    ],
    [blobsOfVm(spec).every((digest) => sent.has(digest)), "the machine needs bytes that are not listed"],
    [spec.fuelMax === order.fuelMax, "the machine's fuel is not the order's"],
    egressCheck(spec, ordered),
    [spec.vcpu <= resources.vcpu, "the machine has more vCPUs than the lease"],
    [
      spec.memoryMib + ownMib <= resources.memoryMib,
      `the lease's memory must hold the guest's and ${ownMib} MiB for Xen itself${deviceModelMib > 0 ? " and QEMU" : ""}`,
    ],
    [spec.diskMib <= resources.diskMib, "the machine's disk is larger than the lease's"],
    [bytes <= (resources.diskMib + resources.memoryMib) * MIB, "images and inputs are larger than the lease"],
  ]);
  return wrong ?? domainProblem(spec, bootable) ?? vmSpecProblem(spec) ?? vmInputsProblem(spec, inputs);
}
