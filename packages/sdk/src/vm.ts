/** A virtual machine as its customer has it, turned into digests: what the order commits to and what travels in the channel. */
import type { MachineDriver } from "@xenoservers/market";
import { canonicalBytes, toHex, vmInputsProblem, vmJobHashOf, vmSpecProblem, zVmSpec, type VmSpec } from "@xenoservers/protocol";
import { zInputTree, type ChannelHeader, type InputTree } from "@xenoservers/protocol/channel";
import { systemCrypto } from "@xenoservers/protocol/system";
import { inputTreeOf, type JobInput } from "./job.ts";
import type { Blob } from "./blob.ts";
import { InputError } from "./errors.ts";

/** What runs it where its order names nothing else that does. */
export const VM_DRIVER: MachineDriver = "qemu";

/** What QEMU itself takes of a lease's memory, at most; the lease orders it beside the guest's own. */
export const VM_OVERHEAD_MIB = { kvm: 64, any: 192 } as const;

export interface VmInput extends Omit<VmSpec, "inputs" | "seed" | "clockBaseMs" | "fuelMax"> {
  fuelMax: bigint;
  mounts: JobInput["mounts"];
  /** Absent: VM_DRIVER. */
  driver?: MachineDriver;
  /** Every blob that the specification names and that is sent from here. */
  blobs: readonly Blob[];
  seed?: Uint8Array;
  clockBaseMs?: number;
}

interface VmParts {
  spec: VmSpec;
  jobHash: string;
  inputs: InputTree;
  blobs: Map<string, Blob>;
  /** Of those that the specification names, inputs apart. */
  sizes: { digest: string; size: number }[];
}

export interface BuiltVm extends VmParts {
  driver: MachineDriver;
  /** It has no part that could be run alone. */
  segment: null;
  /** How it travels in the channel. */
  message: Extract<ChannelHeader, { t: "vm" }>;
}

export function builtVm(parts: VmParts, driver: MachineDriver): BuiltVm {
  const { spec, inputs, sizes } = parts;
  return { ...parts, driver, segment: null, message: { t: "vm", spec, inputs, blobs: sizes } };
}

/** The machine is one that no server can run: in words, before anything is ordered. */
export class VmProblem extends InputError {
  override name = "VmProblem";
}

/** Why no server can run the machine, in words that name what to change; null when servers can. */
function vmProblem({ spec, inputs }: Pick<BuiltVm, "spec" | "inputs">): string | null {
  for (const written of [zVmSpec.safeParse(spec), zInputTree.safeParse(inputs)]) {
    const issue = written.error?.issues[0];
    if (issue) return `the machine cannot be ordered: ${issue.path.join(".")}: ${issue.message}`;
  }
  return vmSpecProblem(spec) ?? vmInputsProblem(spec, inputs);
}

/** A machine as it is said, whether or not a server can run it. */
export function assembleVm({ mounts, blobs, fuelMax, seed, clockBaseMs, driver = VM_DRIVER, ...machine }: VmInput): BuiltVm {
  const all = new Map(blobs.map((blob) => [blob.digest, blob]));
  const inputs = inputTreeOf(mounts, all);
  const spec: VmSpec = {
    ...machine,
    inputs: toHex(systemCrypto.sha256(canonicalBytes(inputs))),
    fuelMax: fuelMax.toString(),
    seed: toHex(seed ?? systemCrypto.randomBytes(32)),
    clockBaseMs: clockBaseMs ?? Date.now(),
  };
  const sizes = blobs.map(({ digest, size }) => ({ digest, size }));
  return builtVm({ spec, jobHash: vmJobHashOf(systemCrypto, spec), inputs, blobs: all, sizes }, driver);
}

/** Throws VmProblem. */
export function buildVm(input: VmInput): BuiltVm {
  const built = assembleVm(input);
  const problem = vmProblem(built);
  if (problem !== null) throw new VmProblem(problem);
  return built;
}
