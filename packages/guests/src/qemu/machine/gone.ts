/**
 * How a machine ended that is gone, and of which nothing was written down: it ended while no daemon ran. Who controls the inputs: the
 * host.
 */
import { readFile } from "node:fs/promises";
import path from "node:path";
import { wasOutOfMemory, type LimitsKind } from "./cgroup.ts";
import type { MachineEnd, MachineToken } from "./machine-end.ts";
import { VM_FILES } from "./plan.ts";

/** Another one each time the host starts. */
export const bootOfHost = async (): Promise<string> => (await readFile("/proc/sys/kernel/random/boot_id", "utf8").catch(() => "")).trim();

const isKind = (kind: string): kind is LimitsKind => kind === "cgroup1" || kind === "cgroup2";

export async function endOfGone({ folder, boot, cgroup, cgroupKind }: MachineToken): Promise<MachineEnd> {
  if (boot !== undefined && boot !== (await bootOfHost())) return { kind: "host", detail: "the machine's host was restarted" };
  if (isKind(cgroupKind) && (await wasOutOfMemory({ kind: cgroupKind, folders: cgroup.split(" ") }))) return { kind: "memory-limit" };
  const said = (await readFile(path.join(folder, VM_FILES.log), "utf8").catch(() => "")).trim().split("\n").slice(-2).join(" / ");
  return { kind: "crashed", detail: `QEMU ended while no daemon ran${said === "" ? "" : `: ${said}`}` };
}
