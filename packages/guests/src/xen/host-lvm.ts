/**
 * Whether dom0's own LVM looks into customers' disks. udev asks it about each loop device, and a volume group that a customer wrote is
 * then the host's as well: under names that the customer chose, with the domain's disk held open. Who controls the inputs: the owner
 * (lvm.conf(5)).
 */
import { existsSync } from "node:fs";
import { run } from "../programs/start.ts";
import { codeOf } from "../thrown.ts";

const BOUNDS = { timeout: 60_000, killSignal: "SIGKILL", env: { PATH: "/usr/sbin:/usr/bin:/sbin:/bin", LC_ALL: "C" } } as const;

/** Names that disks of domains have in dom0, each of one device. */
const DISKS = ["/dev/loop0", "/dev/loop31", "/dev/mapper/xeno-0123456789abcdef01234567"] as const;
/** Unless its owner names another, which is then taken for none. */
const DEVICES_FILE = "/etc/lvm/devices/system.devices";
const FIX = 'global_filter = ["r|^/dev/loop|", "r|^/dev/mapper/xeno-|"] in the section devices of /etc/lvm/lvm.conf';

/** A pattern of a filter: `a` or `r`, and a regular expression between two of whatever comes next. Null where it is none. */
function patternOf(text: string): { accepts: boolean; names: RegExp } | null {
  const end = text.lastIndexOf(text.charAt(1));
  if (!/^[ar]/.test(text) || end < 2) return null;
  try {
    return { accepts: text.startsWith("a"), names: new RegExp(text.slice(2, end), "u") };
  } catch {
    return null;
  }
}

/**
 * By what `lvmconfig devices` prints: the first pattern that a name has decides, and what has none is accepted. `isListed`: there is a file
 * of devices, without which LVM goes by its filters alone (lvmdevices(8)).
 */
export function lvmAccepts(config: string, name: string, isListed: boolean): boolean {
  if (isListed && /^\s*use_devicesfile=1$/m.test(config)) return false;
  const filter = /^\s*global_filter=(.*)$/m.exec(config)?.[1] ?? "";
  const patterns = [...filter.matchAll(/"((?:[^"\\]|\\.)*)"/g)].map(([, text = ""]) => patternOf(text.replaceAll(/\\(.)/g, "$1")));
  return patterns.find((each) => each?.names.test(name))?.accepts ?? true;
}

/** What LVM may do with customers' disks here, in words for the owner; null where it leaves them alone, or is not there. */
export async function lvmProblem(): Promise<string | null> {
  const config = await run("lvmconfig", ["devices"], BOUNDS).then(
    ({ stdout }) => stdout,
    (error: unknown) => (codeOf(error) === "ENOENT" ? null : ""), // nothing is set
  );
  const isListed = existsSync(DEVICES_FILE);
  if (config === null || !DISKS.some((name) => lvmAccepts(config, name, isListed))) return null;
  return `this host's LVM takes up volume groups of customers' disks: write ${FIX}`;
}
