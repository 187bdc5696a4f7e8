/** What XAPI wants to be told of a machine when it is made; what a lease's machine is comes with its clone. Pure. */
import type { VmSpec } from "@xenoservers/protocol";
import { NO_REF } from "./xapi-records.ts";

const BYTES = 134_217_728;

export const MACHINE_FIELDS = {
  ...{ user_version: 1, is_a_template: true, affinity: NO_REF, PCI_bus: "", recommendations: "", xenstore_data: {} },
  ...{ memory_static_max: BYTES, memory_dynamic_max: BYTES, memory_target: BYTES, memory_dynamic_min: BYTES, memory_static_min: BYTES },
  ...{ VCPUs_params: {}, VCPUs_max: 1, VCPUs_at_startup: 1 },
  // a machine that ends has ended; one that crashed stands still, by which alone it is told from one that ended (pool-guest.ts)
  ...{ actions_after_shutdown: "destroy", actions_after_reboot: "restart", actions_after_crash: "preserve" },
  ...{ PV_bootloader: "", PV_kernel: "", PV_ramdisk: "", PV_args: "", PV_bootloader_args: "", PV_legacy_args: "" },
  ...{ HVM_boot_policy: "", HVM_boot_params: {}, platform: { acpi: "1", apic: "true", pae: "true", nx: "true", viridian: "false" } },
  ...{ ha_always_run: false, ha_restart_priority: "", suspend_SR: NO_REF, blocked_operations: {} },
};

/** What boots a disk: nobody of the pool's but pygrub, or firmware, each of which has a device model of its own. */
type BootsBy = "pygrub" | VmSpec["firmware"];

const OF_BOOT: Readonly<Record<BootsBy, Record<string, string>>> = {
  pygrub: {},
  bios: { "device-model": "qemu-upstream-compat" },
  // a customer's own system need not be signed
  uefi: { "device-model": "qemu-upstream-uefi", secureboot: "false" },
};

/** One socket for all processors: a Windows uses no more than two. */
export const platformOf = (vcpu: number, bootsBy: BootsBy): Record<string, string> => ({
  ...MACHINE_FIELDS.platform,
  ...OF_BOOT[bootsBy],
  "cores-per-socket": String(vcpu),
});
