/**
 * How a machine ended that is gone, and of which nothing was written down: it ended while no daemon ran. Who controls the inputs: the
 * host.
 */
import { readFile } from "node:fs/promises";
import { wasOutOfMemory } from "../../cgroup.ts";
import { cgroupOf, type MachineEnd, type MachineToken } from "./machine-end.ts";
import { logEnd } from "./vm.ts";

/** Another one each time the host starts. */
export const bootOfHost = async (): Promise<string> => (await readFile("/proc/sys/kernel/random/boot_id", "utf8").catch(() => "")).trim();

export async function endOfGone(token: MachineToken): Promise<MachineEnd> {
  const { folder, boot } = token;
  if (boot !== undefined && boot !== (await bootOfHost())) return { kind: "host", detail: "the machine's host was restarted" };
  const cgroup = cgroupOf(token);
  if (cgroup && (await wasOutOfMemory(cgroup))) return { kind: "memory-limit" };
  const said = (await logEnd(folder)).split("\n").slice(-2).join(" / ");
  return { kind: "crashed", detail: `QEMU ended while no daemon ran${said === "" ? "" : `: ${said}`}` };
}
