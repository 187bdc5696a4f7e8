import type { DriverState } from "../state.ts";

/** How a pool runs machines, or why it does not, for its owner. */
export function xapiState(found: { ok: true; pool: string; hosts: number; engine: string } | { ok: false; why: string }): DriverState {
  const state = { name: "xapi", holds: [], usesHostDisk: false };
  if (!found.ok) return { ...state, present: false, reason: found.why };
  return { ...state, present: true, reason: `pool ${found.pool} of ${found.hosts} hosts, ${found.engine}; guests are held by Xen` };
}
