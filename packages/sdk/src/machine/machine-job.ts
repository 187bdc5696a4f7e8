/**
 * From what a customer asks for to a virtual machine: what boots, from which disks, with which seed for cloud-init, and what it may
 * reach. Where all that lies is the place's to say. Who controls the inputs: whoever runs this.
 */
import { FETCH_CONDITION } from "@xenoservers/market";
import { SCREEN_LABEL, isFetched, type Egress, type VmSpec } from "@xenoservers/protocol";
import { InputError } from "../errors.ts";
import type { Wanted } from "../order.ts";
import { buildVm, type BuiltVm } from "../vm.ts";
import { parseCount, parseSizeMib } from "../words.ts";
import { MIB, bootOf, inputBytes } from "./boot-of.ts";
import { leaseMemoryMib } from "./lease-memory.ts";
import type { MachinePlace, SharedFolder } from "./machine-place.ts";
import { refuseForImages } from "./process-held.ts";
import type { VmOptions } from "./vm-options.ts";

/** Options that both kinds of job share. */
interface SharedOptions {
  /** Something is to lie in /in. */
  hasInputs: boolean;
  dir: string[];
  env: string[];
  cpu: string;
  mem?: string;
  disk?: string;
  maxOutput: string;
  deterministic: boolean;
}

interface ParsedVm {
  /** What the machine is, for people. */
  says: string[];
  resources: Wanted["resources"];
  ordered: Pick<Wanted, "driver" | "accel" | "egress" | "egressMibMax">;
  /** What a server must be able to do for it. */
  conditions: Wanted["conditions"];
  shared: SharedFolder[];
  /** What it prints is its console, not the output of a program. */
  showsConsole: boolean;
  build(vmEngine: string, fuelMax: bigint): BuiltVm;
}

const VM_MEMORY_MIB = 512;

function egressOf({ egress, egressMax }: VmOptions): { egress: Egress; egressMibMax: number } {
  if (egress === undefined || egress === "none") return { egress: "none", egressMibMax: 0 };
  const egressMibMax = parseSizeMib(egressMax, "--egress-max");
  if (egress === "public") return { egress, egressMibMax };
  const names = egress.split(",").map((name) => name.trim().toLowerCase());
  const wrong = names.find((name) => !/^(\*\.)?[a-z0-9]([a-z0-9.-]{0,250}[a-z0-9])?$/.test(name));
  if (wrong !== undefined) throw new InputError(`--egress '${wrong}' is no host name; write a.example,*.b.example, or public`);
  return { egress: names, egressMibMax };
}

/** Throws InputError. */
export async function parseVm(
  file: string | undefined,
  args: string[],
  options: VmOptions,
  shared: SharedOptions,
  place: MachinePlace,
): Promise<ParsedVm> {
  const memoryMib = shared.mem === undefined ? VM_MEMORY_MIB : parseSizeMib(shared.mem, "--mem");
  const disk = shared.disk === undefined ? null : parseSizeMib(shared.disk, "--disk");
  const { boot, blobs, says, mounts, ...least } = await bootOf({ file, args, env: shared.env }, options, { memoryMib, disk }, place);
  if (boot.kind !== "oci") refuseForImages(options);
  if (boot.kind !== "oci" && (shared.hasInputs || shared.env.length > 0 || shared.dir.length > 0))
    throw new InputError("--in, --dir and --env are for modules and OCI images: a machine of your own takes its inputs from its disks");
  const folders: SharedFolder[] = [];
  for (const text of shared.dir) {
    const { host, guest } = place.folder(text);
    if (guest === "/") throw new InputError(`--dir '${text}': an image has files of its own at /; give it another place: ${host}::/data`);
    const before = await place.tree(host);
    folders.push({ host, guest, before });
    mounts.push({ mount: { path: guest, writable: true, keep: true }, entries: before });
  }
  if (shared.deterministic && boot.kind !== "kernel")
    throw new InputError("--assurance deterministic-vm boots a kernel: --kernel FILE --initrd FILE");
  // unless it is said, the disk holds the image, and its inputs twice
  const diskMib = boot.kind === "oci" && disk === null ? Math.max(least.diskMib, Math.ceil((2 * inputBytes(mounts)) / MIB)) : least.diskMib;
  const { egress, egressMibMax } = egressOf(options);
  const vcpu = parseCount(shared.cpu, "--cpu", 64);
  const windows = options.windows === true;
  const machine: Omit<VmSpec, "inputs" | "fuelMax" | "seed" | "clockBaseMs" | "engine"> = {
    vm: boot,
    machine: options.machine ?? (windows || boot.kind === "disk" ? "q35" : "pc"),
    firmware: windows || options.uefi ? "uefi" : "bios",
    devices: windows ? "emulated" : "virtio",
    tpm: windows || options.tpm === true,
    vcpu,
    memoryMib,
    diskMib,
    ...(windows || options.screen === true ? { screen: true as const } : {}),
    outputMibMax: parseSizeMib(shared.maxOutput, "--max-output"),
    network: options.network === true || egress !== "none" || options.sshKey !== undefined,
    egress,
  };
  const build: ParsedVm["build"] = (vmEngine, fuelMax) =>
    buildVm({ ...machine, driver: options.driver, engine: shared.deterministic ? vmEngine : null, mounts, blobs, fuelMax });
  build("any", 1n); // what no server can run is refused before anybody is asked for a price
  return {
    says,
    shared: folders,
    resources: { vcpu, memoryMib: leaseMemoryMib(machine, options), diskMib },
    ordered: { driver: options.driver, accel: options.accel, egress, egressMibMax },
    conditions: [
      ...(isFetched(boot) ? [FETCH_CONDITION] : []),
      ...(machine.screen === true ? [{ key: `label.${SCREEN_LABEL.name}`, op: "=" as const, value: SCREEN_LABEL.value }] : []),
    ],
    showsConsole: boot.kind !== "oci",
    build,
  };
}
