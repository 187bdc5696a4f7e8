/**
 * Whether this host makes domains with emulated hardware: what they need is looked for, and what is missing said in words. Who controls the
 * inputs: the owner's machine.
 */
import { readFile } from "node:fs/promises";
import { run } from "../programs/start.ts";
import { messageOf } from "../thrown.ts";
import { DEVICE_MODEL } from "./device-model.ts";
import { isThere } from "./domain-disk.ts";
import type { XenInfo } from "./xen-info.ts";

/** Users may be kept on another machine, which may not answer, or be many. */
const ASKS_USERS = { timeout: 60_000, killSignal: "SIGKILL", maxBuffer: 64 * 1024 * 1024 } as const;

/** libxl's own name of the user whose id is the first of the range (xl.cfg(5), dm_restrict). */
const RANGE_USER = "xen-qemuuser-range-base";
/** One for each number that Xen gives domains before it begins anew (DOMID_FIRST_RESERVED). */
const RANGE_COUNT = 32_752;
const RANGE_BASE = 200_000;
const FIX = `useradd --system --no-create-home --uid ${RANGE_BASE} --user-group ${RANGE_USER}`;

/** Of lines of passwd(5); null where the range is free for device models, which are known by their ids. `subordinate`: subuid(5). */
export function rangeProblem(users: string, subordinate: string): string | null {
  const ids = users
    .split("\n")
    .map((line) => line.split(":"))
    .flatMap(([name = "", , id = ""]) => (/^\d+$/.test(id) ? [{ name, id: Number(id) }] : []));
  const base = ids.find(({ name }) => name === RANGE_USER)?.id;
  if (base === undefined) return `the user ${RANGE_USER}, whose id begins a range for device models (${FIX})`;
  const isWithin = (from: number, count: number): boolean => from < base + RANGE_COUNT && from + count > base;
  if (base === 0) return `an id that is not root's for the user ${RANGE_USER} (${FIX})`;
  const other = ids.find(({ name, id }) => name !== RANGE_USER && isWithin(id, 1));
  const range = `${base} to ${base + RANGE_COUNT - 1}`;
  if (other) return `user ids ${range} for device models alone, and ${other.name} has ${other.id}: give ${RANGE_USER} another id`;
  for (const line of subordinate.split("\n")) {
    const [name = "", from = "", count = ""] = line.split(":");
    if (/^\d+$/.test(from) && /^\d+$/.test(count) && isWithin(Number(from), Number(count)))
      return `user ids ${range} for device models alone, and ${name} may take ${from} and on (/etc/subuid): give ${RANGE_USER} another id`;
  }
  return null;
}

/** All that is missing; null where nothing is. */
export async function emulationMissing({ abilities }: Pick<XenInfo, "abilities">): Promise<string | null> {
  const users = await run("getent", ["passwd"], ASKS_USERS).catch((error: unknown) => messageOf(error));
  const missing = [
    abilities.includes("hvm") ? null : "a processor and a hypervisor with hvm (xl info, virt_caps)",
    (await isThere(DEVICE_MODEL)) ? null : `${DEVICE_MODEL} (apt install qemu-system-xen)`,
    typeof users === "string" ? users : rangeProblem(users.stdout, await readFile("/etc/subuid", "utf8").catch(() => "")),
  ].filter((each) => each !== null);
  return missing.length === 0 ? null : missing.join("; and ");
}
