import type { HostState } from "@xenoservers/guests";
import type { DriverState } from "../state.ts";
import { machineHolds } from "../holds.ts";

/** How virtual machines run here, or why they do not. */
export function qemuState(qemu: HostState): DriverState {
  const state = { name: "qemu", usesHostDisk: qemu.ok };
  if (!qemu.ok) return { ...state, present: false, holds: [], reason: `${qemu.why}; until then this machine offers WebAssembly only` };
  const { accel, accelWhy, version, limits, stockWhy } = qemu.host;
  const how = accel === "kvm" ? "KVM" : `emulated (${accelWhy})`;
  const notes = [`QEMU ${version}, ${how}`, `limits by ${limits.kind}`, ...(stockWhy === "" ? [] : [stockWhy])];
  return { ...state, present: true, holds: machineHolds(qemu.host), reason: notes.join("; ") };
}
