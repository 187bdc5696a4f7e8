import { sendsLive, type XenHostState } from "@xenoservers/guests";
import type { DriverState } from "../state.ts";

/** How domains run here, or why they do not. */
export function xenState(xen: XenHostState): DriverState {
  const state = { name: "xen", usesHostDisk: xen.ok, holds: [] };
  if (!xen.ok) return { ...state, present: false, reason: xen.why };
  const { info, kind, roomMib } = xen.host;
  const notes = [`Xen ${info.version}, ${kind} domains`, `${info.freeMib} of ${info.memoryMib} MiB free`, `shares by ${info.scheduler}`];
  const how = sendsLive(xen.host) ? "while they run" : "saved and restored: their hypervisor has no shadow page tables";
  notes.push(`kernels' and disks' domains move to another server of yours ${how}`);
  if (xen.host.loader === null) notes.push(xen.host.loaderWhy);
  if (xen.host.stock === null) notes.push(xen.host.stockWhy);
  notes.push(xen.host.emulationWhy ?? "screens and media (HVM)");
  if (xen.host.networkWhy !== null) notes.push(xen.host.networkWhy);
  if (xen.host.ratesWhy !== null) notes.push(xen.host.ratesWhy);
  if (xen.host.lvmWhy !== null) notes.push(xen.host.lvmWhy);
  return { ...state, present: true, reason: notes.join("; "), room: { vcpu: info.cpus, memoryMib: roomMib } };
}
