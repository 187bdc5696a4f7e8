/**
 * A domain's disk: a sparse raw file of its folder, as a loop device. The kernel lets go of the device by itself once the domain has
 * (losetup(8), --detach), so nothing of it has to be remembered. Who controls the inputs: this program, every path.
 */
import { execFile } from "node:child_process";
import { access, copyFile, link, open } from "node:fs/promises";
import path from "node:path";
import { promisify } from "node:util";
import { isRecord } from "../json.ts";

const run = promisify(execFile);
const MIB = 1024 * 1024;
const BOUNDS = { timeout: 60_000, killSignal: "SIGKILL", env: { PATH: "/usr/sbin:/usr/bin:/sbin:/bin", LC_ALL: "C" } } as const;

/** A link of the domain's own outlives whoever kept the file. */
export const held = (file: string, own: string): Promise<string> =>
  link(file, own)
    .catch(() => copyFile(file, own))
    .then(() => own);

export async function blankDisk(file: string, diskMib: number): Promise<void> {
  const handle = await open(file, "wx", 0o600);
  try {
    await handle.truncate(diskMib * MIB);
  } finally {
    await handle.close();
  }
}

/** A file that is a disk of the domain's. */
export interface DiskFile {
  file: string;
  isWritable: boolean;
}

/** As a block device of dom0's. */
export interface DomainDevice {
  device: string;
  isWritable: boolean;
}

/** Calls with a block device for each file; what opened them meanwhile keeps them. */
export async function asDevices<T>(files: readonly DiskFile[], call: (devices: readonly DomainDevice[]) => Promise<T>): Promise<T> {
  const devices: DomainDevice[] = [];
  try {
    for (const { file, isWritable } of files) {
      const { stdout } = await run("losetup", [...(isWritable ? [] : ["--read-only"]), "--find", "--show", file], BOUNDS);
      devices.push({ device: stdout.trim(), isWritable });
    }
    return await call(devices);
  } finally {
    for (const { device } of devices) await run("losetup", ["--detach", device], BOUNDS);
  }
}

/** Of the disk at a place, its number (xen-vbd-interface(7)): those from the seventeenth on are of another scheme. */
const numberOf = (place: number): number => (place < 16 ? (202 << 8) | (place << 4) : (1 << 28) | (place << 8));
const OPEN_MS = 30_000;
const LOOK_MS = 20;

/** Until dom0's kernel has opened the domain's disks, which it does some time after xl has told it to. */
export async function disksAreOpen(domain: number, count: number): Promise<void> {
  for (let place = 0; place < count; place++) await diskIsOpen(`/sys/bus/xen-backend/devices/vbd-${domain}-${numberOf(place)}`);
}

async function diskIsOpen(backend: string): Promise<void> {
  const file = path.join(backend, "physical_device");
  for (const deadline = Date.now() + OPEN_MS; Date.now() < deadline;) {
    const isThere = await access(file).then(
      () => true,
      () => false,
    );
    if (isThere) return;
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
  }
  throw new Error("dom0 does not open a disk of the domain's");
}

/** Lets go of devices of files below a folder that nobody has open: a daemon was killed as it made them. */
export async function sweepDevices(folder: string): Promise<void> {
  const { stdout } = await run("losetup", ["--list", "--json", "--output", "NAME,BACK-FILE"], BOUNDS);
  if (stdout.trim() === "") return; // there are none
  const said: unknown = JSON.parse(stdout);
  const devices: unknown[] = isRecord(said) && Array.isArray(said["loopdevices"]) ? said["loopdevices"] : [];
  for (const each of devices) {
    if (!isRecord(each) || typeof each["name"] !== "string" || typeof each["back-file"] !== "string") continue;
    if (each["back-file"].startsWith(`${path.resolve(folder)}/`)) await run("losetup", ["--detach", each["name"]], BOUNDS);
  }
}
