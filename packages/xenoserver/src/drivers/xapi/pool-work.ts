/** A machine against what was ordered, and against what a pool can boot. Who controls the inputs: the customer, every byte. */
import type { Resources } from "@xenoservers/market";
import {
  blobsOfVm,
  ifCanonical,
  screenMibOf,
  vmInputsProblem,
  vmJobHashOf,
  vmSpecProblem,
  type Crypto,
  type VmSpec,
} from "@xenoservers/protocol";
import { digestOf, egressCheck, firstProblem } from "../checks.ts";
import type { Ordered } from "../driver.ts";
import type { MachineJob } from "../work.ts";

const MIB = 1024 * 1024;
/** What Xen and the machine's device model take beside the guest's memory. */
const XEN_OVERHEAD_MIB = 64;
/** The seed's disk, at most, and that on which a machine may hand something back: beside the disk that was ordered. */
const SEED_MIB = 16;
const RESULT_MIB_MAX = 256;

/** What each lease may take of the storage beside its own disk. */
export const BESIDE_MIB = SEED_MIB + RESULT_MIB_MAX;

/** How large the disk is on which the machine may hand something back: an archive of what was ordered, within the pool's bound. */
export const resultMib = ({ outputMibMax }: Pick<VmSpec, "outputMibMax">): number => Math.min(outputMibMax + 1, RESULT_MIB_MAX);

export interface PoolAbilities {
  /** Of one machine. */
  largest: Pick<Resources, "vcpu" | "memoryMib">;
  /** Why qcow2 images cannot be read here, in words; null where they can. */
  noConvert: string | null;
  /** Whether the owner has named a network for leases. */
  hasNetwork: boolean;
}

/** Why a pool boots no such machine, in words; null where it does. */
function poolProblem({ vm, machine, tpm, network, egress, engine }: VmSpec, { noConvert, hasNetwork }: PoolAbilities): string | null {
  return firstProblem([
    [
      vm.kind === "disk" || vm.kind === "snapshot",
      "this server is a pool of hosts: it boots disk images (--vm), no kernels and no OCI images",
    ],
    [vm.kind !== "disk" || (vm.image !== null && vm.iso === null), "a pool boots a disk image, not an installer's medium"],
    [
      vm.kind !== "disk" || vm.image?.format === "raw" || noConvert === null,
      `this server takes plain disks alone (${noConvert}): qemu-img convert -O raw IMAGE DISK, and --format raw`,
    ],
    [vm.kind !== "disk" || vm.image?.url === null, "a pool fetches no images: send the image itself"],
    [machine !== "microvm", "a pool's machines are whole PCs: order --machine pc or q35"],
    [!tpm, "a pool's machines have no TPM here"],
    [
      !network || hasNetwork,
      "a pool's machines have no network card here: nothing of ours would stand between them and their owner's network",
    ],
    [
      !network || egress === "public",
      "a pool's machines have a network card for --egress public alone: nobody can connect to them, and no names are opened one by one",
    ],
    [!network || vm.kind === "disk", "a machine with a network card does not begin with a snapshot: two would have one address"],
    [
      !network || vm.kind !== "disk" || vm.seed.every(({ name }) => name !== "network-config"),
      "this server says which address the machine has: leave network-config out of its seed",
    ],
    [engine === null, "a pool's machines are not deterministic"],
  ]);
}

/** Why the machine is not the one that this lease is for, or larger than any host, in words; null when it can run. */
export function poolWorkProblem(
  crypto: Crypto,
  ordered: Ordered,
  { spec, inputs, blobs }: MachineJob,
  abilities: PoolAbilities,
): string | null {
  const { largest } = abilities;
  const {
    po: { resources },
    order,
  } = ordered;
  const sent = new Set(blobs.map(({ digest }) => digest));
  const bytes = blobs.reduce((sum, { size }) => sum + size, 0);
  const ownMib = XEN_OVERHEAD_MIB + screenMibOf(spec);
  const wrong = firstProblem([
    [ifCanonical(() => vmJobHashOf(crypto, spec)) === order.jobHash, "the machine is not the one that was ordered"],
    [ifCanonical(() => digestOf(crypto, inputs)) === spec.inputs, "the inputs are not the ones that were ordered"],
    [blobsOfVm(spec).every((digest) => sent.has(digest)), "the machine needs bytes that are not listed"],
    [spec.fuelMax === order.fuelMax, "the machine's fuel is not the order's"],
    egressCheck(spec, ordered),
    [spec.vcpu <= resources.vcpu, "the machine has more vCPUs than the lease"],
    [spec.memoryMib + ownMib <= resources.memoryMib, `the lease's memory must hold the guest's and ${ownMib} MiB for Xen itself`],
    [spec.diskMib <= resources.diskMib, "the machine's disk is larger than the lease's"],
    [
      spec.vcpu <= largest.vcpu,
      `no host of this pool has ${spec.vcpu} processors for one machine: the largest has ${largest.vcpu} (--cpu)`,
    ],
    [
      spec.memoryMib + ownMib <= largest.memoryMib,
      `no host of this pool has ${spec.memoryMib + ownMib} MiB for one machine: the largest has ${largest.memoryMib} (--mem)`,
    ],
    [bytes <= (spec.diskMib + SEED_MIB) * MIB, "the image is larger than the machine's disk"],
  ]);
  return wrong ?? poolProblem(spec, abilities) ?? vmSpecProblem(spec) ?? vmInputsProblem(spec, inputs);
}
