/** A virtual machine against what was ordered. Who controls the inputs: the customer, every byte. */
import { asksForFetch } from "@xenoservers/market";
import {
  blobsOfVm,
  ifCanonical,
  isFetched,
  screenMibOf,
  vmInputsProblem,
  vmJobHashOf,
  vmSpecProblem,
  type Crypto,
} from "@xenoservers/protocol";
import { digestOf, egressCheck, firstProblem } from "../checks.ts";
import type { NeededBlob, Ordered } from "../driver.ts";
import type { MachineJob } from "../work.ts";
import type { VmDriver } from "./vm-driver.ts";

const MIB = 1024 * 1024;

/** Of its inputs. */
export const filesOf = ({ inputs }: MachineJob): NeededBlob[] =>
  inputs.entries.flatMap((entry): NeededBlob[] => (entry.kind === "file" ? [{ digest: entry.digest, size: entry.size }] : []));

/** Every blob of a machine that has to come: not what is kept of what this customer sent before, nor what the server fetches itself. */
export async function neededForMachine(vm: MachineJob, customer: string, vms: Pick<VmDriver, "hasBlob">): Promise<NeededBlob[]> {
  const sizes = new Map(vm.blobs.map(({ digest, size }) => [digest, size]));
  const needed = filesOf(vm);
  for (const digest of new Set(blobsOfVm(vm.spec)))
    if (vm.forgets || !(await vms.hasBlob(customer, digest))) needed.push({ digest, size: sizes.get(digest) ?? 0, isDrivers: true });
  return needed;
}

/** Why the machine is not the one that this lease is for, in words; null when it is. */
export function machineProblem(
  crypto: Crypto,
  vms: Pick<VmDriver, "engine" | "overheadMib">,
  ordered: Ordered,
  vm: MachineJob,
): string | null {
  const { spec, inputs, blobs } = vm;
  const {
    po: { resources },
    order,
  } = ordered;
  const deterministic = order.assurance === "deterministic-vm";
  const sent = new Set(blobs.map(({ digest }) => digest));
  const bytes = [...blobs, ...filesOf(vm)].reduce((sum, { size }) => sum + size, 0);
  const ownMib = vms.overheadMib + screenMibOf(spec);
  const wrong = firstProblem([
    [ifCanonical(() => vmJobHashOf(crypto, spec)) === order.jobHash, "the machine is not the one that was ordered"],
    [ifCanonical(() => digestOf(crypto, inputs)) === spec.inputs, "the inputs are not the ones that were ordered"],
    [blobsOfVm(spec).every((digest) => sent.has(digest)), "the machine needs bytes that are not listed"],
    [deterministic ? spec.engine === vms.engine : spec.engine === null, `this server's QEMU is ${vms.engine}`],
    [
      !deterministic || (spec.vm.kind === "kernel" && !spec.network && spec.vcpu === 1),
      "a deterministic machine boots a kernel and a RAM disk on one vCPU, nothing else",
    ],
    [
      !isFetched(spec.vm) || asksForFetch(order.conditions),
      "the order does not ask for a server that fetches images: order it with a current client, or send the image itself",
    ],
    [spec.fuelMax === order.fuelMax, "the machine's fuel is not the order's"],
    egressCheck(spec, ordered),
    [spec.vcpu <= resources.vcpu, "the machine has more vCPUs than the lease"],
    [spec.memoryMib + ownMib <= resources.memoryMib, `the lease's memory must hold the guest's and ${ownMib} MiB for QEMU itself`],
    [spec.diskMib <= resources.diskMib, "the machine's disk is larger than the lease's"],
    [bytes <= (resources.diskMib + resources.memoryMib) * MIB, "images and inputs are larger than the lease"],
  ]);
  return wrong ?? vmSpecProblem(spec) ?? vmInputsProblem(spec, inputs);
}
