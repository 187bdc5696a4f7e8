/** How much memory a machine's lease orders. Pure. */
import { DRIVERS, type MachineDriver } from "@xenoservers/market";
import { DEVICE_MODEL_MIB, domainOverheadMib, screenMibOf, type VmSpec } from "@xenoservers/protocol";
import { VM_OVERHEAD_MIB } from "../vm.ts";

type Machine = Pick<VmSpec, "vm" | "vcpu" | "memoryMib" | "screen">;

/** Of a domain: whether GRUB finds on its disk what it boots is known to its server alone, and QEMU boots it where it does not. */
function besideDomain(machine: Machine): number {
  const { vm, screen } = machine;
  return domainOverheadMib(machine) + (screen === true || vm.kind === "disk" ? DEVICE_MODEL_MIB : 0);
}

/** The guest's own, and what runs it takes at most beside that. */
export const leaseMemoryMib = (machine: Machine, { driver, accel }: { driver: MachineDriver; accel: "kvm" | "any" }): number =>
  machine.memoryMib + screenMibOf(machine) + (DRIVERS[driver].tablesAlone ? besideDomain(machine) : VM_OVERHEAD_MIB[accel]);
