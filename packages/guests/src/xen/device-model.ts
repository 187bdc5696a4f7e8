/**
 * What emulates the hardware of a domain that is not of Xen's own kinds: QEMU, which libxl starts as the program of the domain's folder
 * that is written here, confines to its domain (dm_restrict: an empty root, a user id that no other process has) and ends with the domain.
 * Around it are a control group, namespaces without a network, no way to gain rights and no way to begin a process. Who controls the
 * inputs: this program, every path; the guest, all that QEMU does once the domain runs.
 */
import { readFile, readdir, readlink, rm, rmdir, writeFile } from "node:fs/promises";
import type { Socket } from "node:net";
import path from "node:path";
import { JOIN_GROUPS, PERIOD_US, hostLimits, isCgroup, removeCgroup, wasOutOfMemory, type Cgroup } from "../cgroup.ts";
import { guestTextEnd } from "../guest-files.ts";
import { isRecord, parseOwn } from "../json.ts";
import { isAlive, startTicksOf, type ProcessId } from "../programs/process-id.ts";
import { SYSTEM_PATH } from "../qemu/machine/box.ts";
import { DEVICE_MODEL_CALLS } from "../qemu/machine/box-calls.ts";
import { Viewers } from "../qemu/machine/viewers.ts";
import { writeOwn } from "../write-own.ts";

/** Debian's build of QEMU for Xen alone (qemu-system-xen). */
export const DEVICE_MODEL = "/usr/libexec/xen-qemu-system-i386";
/** In a domain's folder, where QEMU begins: libxl is told of no other path. */
export const [PROGRAM, SCREEN, MEDIUM] = ["device-model", "screen.sock", "medium.iso"] as const;
const [RECORD, LOG, ROOTS] = ["device-model.json", "device-model.log", "device-model.roots"] as const;
const LIBXL_LOGS = "/var/log/xen";
const LIBXL_ROOT = /^(?:\/var)?\/run\/xen\/qemu-root-\d+$/;
const LOG_KIB = 64;
const LAST_BYTES = 4 * 1024;
/** Before what went wrong, beside remarks of Xen's libraries. */
const QEMU_SAYS = "qemu-system-i386: ";
const TASKS_MAX = 64;

/** A word of sh(1). */
const word = (text: string): string => `'${text.replaceAll("'", String.raw`'\''`)}'`;

/**
 * QEMU opens what it was given as root and then changes to its own root, a folder that libxl makes for it and nobody may read, and user:
 * four rights are left to it for that. Which folder is written down, for libxl leaves it behind. It writes no more than a short log,
 * whatever its guest makes it say. `qemu`: its program.
 */
export const deviceModelScript = (cgroup: Cgroup | null, qemu = DEVICE_MODEL): string => `#!/bin/sh
set -e
PATH=${SYSTEM_PATH}
export PATH
cd "\${0%/*}"
join() { ${JOIN_GROUPS}; }
join ${word((cgroup?.folders ?? []).join(" "))}
rm -f ${SCREEN}
before=
for each in "$@"; do
  [ "$before" != -chroot ] || echo "$each" >>${ROOTS}
  before=$each
done
trap '' XFSZ
ulimit -c 0
ulimit -f ${LOG_KIB * 2}
umask 077
exec >${LOG} 2>&1
exec unshare --net --ipc --uts \\
  setpriv --bounding-set=-all,+dac_read_search,+setgid,+setuid,+sys_chroot --inh-caps=-all --ambient-caps=-all --no-new-privs \\
  perl -e ${word(DEVICE_MODEL_CALLS)} ${word(qemu)} "$@"
`;

interface Record {
  cgroup: Cgroup | null;
}
const isOwnRecord = (value: unknown): value is Record => isRecord(value) && (value["cgroup"] === null || isCgroup(value["cgroup"]));

/** Whether the domain of that folder was laid out with emulated hardware. */
export async function isEmulated(folder: string): Promise<boolean> {
  return (await readdir(folder)).includes(RECORD);
}

async function recordIn(folder: string): Promise<Record | null> {
  const file = path.join(folder, RECORD);
  const text = await readFile(file, "utf8").catch(() => null);
  return text === null ? null : parseOwn(file, text, isOwnRecord);
}

/** What libxl starts for the domain of that name, in its folder. `memoryMib`: what QEMU may take. */
export async function layOutDeviceModel(folder: string, name: string, memoryMib: number): Promise<void> {
  const share = { vcpu: 1, ceilingUs: PERIOD_US, memoryMib, tasksMax: TASKS_MAX };
  const cgroup = await (await hostLimits()).create(`device-model-${name}`, share);
  await writeOwn(path.join(folder, RECORD), JSON.stringify({ cgroup } satisfies Record));
  await writeFile(path.join(folder, PROGRAM), deviceModelScript(cgroup), { mode: 0o700 });
}

/**
 * Nothing of it is left in dom0 but files of the domain's folder: it is ended where libxl did not. A record that is none (a host that lost
 * power) names nothing, and is in nobody's way.
 */
export async function leaveDeviceModel(folder: string, name: string): Promise<void> {
  const record = await recordIn(folder).catch(() => null);
  if (!record) return;
  if (record.cgroup) await removeCgroup(record.cgroup);
  const roots = await readFile(path.join(folder, ROOTS), "utf8").catch(() => "");
  // libxl may have removed them
  for (const root of roots.split("\n")) if (LIBXL_ROOT.test(root)) await rmdir(root).catch(() => {});
  for (const each of await readdir(LIBXL_LOGS).catch(() => []))
    if (each.startsWith(`qemu-dm-${name}.log`)) await rm(path.join(LIBXL_LOGS, each), { force: true });
}

/** What of its confinement does not hold, by what dom0's kernel says of the process; null where all does. */
export async function confinementProblem(pid: number): Promise<string | null> {
  const at = `/proc/${pid}`;
  const status = new Map(
    (await readFile(`${at}/status`, "utf8"))
      .split("\n")
      .map((line) => [line.split(":")[0] ?? "", line.slice(line.indexOf(":") + 1).trim()]),
  );
  const said = (key: string): string => status.get(key) ?? "";
  const none = (key: string): boolean => /^0+$/.test(said(key));
  const [root, network, own] = await Promise.all([`${at}/root`, `${at}/ns/net`, "/proc/self/ns/net"].map((each) => readlink(each)));
  const checks: readonly (readonly [holds: boolean, why: string])[] = [
    [[said("Uid"), said("Gid")].every((ids) => ids !== "" && ids.split(/\s+/).every((id) => id !== "0")), "it runs as root"],
    [["CapInh", "CapPrm", "CapEff", "CapAmb"].every(none), "it has rights of root's"],
    [said("NoNewPrivs") === "1", "it may gain rights"],
    [said("Seccomp") === "2", "no filter of calls is around it"],
    [root !== "/", "it sees dom0's files"],
    [network !== own, "it is in dom0's network"],
  ];
  return checks.find(([holds]) => !holds)?.[1] ?? null;
}

/** Of one domain; the process is another one after each restart. */
export class DeviceModel {
  readonly #folder: string;
  readonly #name: string;
  readonly #viewers: Viewers;
  #process: ProcessId | null = null;

  constructor(folder: string, name: string) {
    this.#folder = folder;
    this.#name = name;
    this.#viewers = new Viewers(path.join(folder, SCREEN));
  }

  /** Throws where it is not there, or not confined as it must be. */
  async check(pid: number | null): Promise<void> {
    if (pid === null) throw new Error("libxl says of no device model that it started for the domain");
    this.#process = null;
    const startTicks = await startTicksOf(pid);
    if (startTicks === null) throw new Error(await this.#whyGone());
    const problem = await confinementProblem(pid);
    if (problem !== null) throw new Error(`the domain's device model is not confined: ${problem}`);
    this.#process = { pid, startTicks };
  }

  /** The same of a domain that was begun earlier, except that it may be gone: why, in words; null where it is there. */
  async takeUp(pid: number | null): Promise<string | null> {
    if (pid !== null && (await startTicksOf(pid)) === null) return this.#whyGone();
    await this.check(pid);
    return null;
  }

  /**
   * Why the process that was checked is not there any more, in words; null where it is. Xen itself says nothing of that: the domain stays,
   * and waits for its hardware.
   */
  async gone(): Promise<string | null> {
    const seen = this.#process;
    return !seen || (await isAlive(seen)) || this.#process !== seen ? null : this.#whyGone();
  }

  async #whyGone(): Promise<string> {
    const record = await recordIn(this.#folder);
    if (record?.cgroup && (await wasOutOfMemory(record.cgroup))) return "its QEMU needed more of dom0's memory than it may have";
    const said = (await guestTextEnd(this.#folder, LOG, LAST_BYTES)).split("\n").findLast((line) => line.includes(QEMU_SAYS));
    return said === undefined ? "its QEMU was ended" : `its QEMU ended, and had said: ${said.trim()}`;
  }

  /** What it is held in; null where that is nothing. */
  async group(): Promise<Cgroup | null> {
    return (await recordIn(this.#folder))?.cgroup ?? null;
  }

  /** One viewer's connection to its screen. Throws in words for its customer. */
  screen(): Promise<Socket> {
    return this.#viewers.open();
  }

  leave(): Promise<void> {
    return leaveDeviceModel(this.#folder, this.#name);
  }
}
