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

/** Calls with a block device that is the file; what opened it meanwhile keeps it. */
export async function asDevice<T>(file: string, call: (device: string) => Promise<T>): Promise<T> {
  const { stdout } = await run("losetup", ["--find", "--show", file], BOUNDS);
  const device = stdout.trim();
  try {
    return await call(device);
  } finally {
    await run("losetup", ["--detach", device], BOUNDS);
  }
}

/** The first disk, by its number (xen-vbd-interface(7)). */
const FIRST_DISK = 202 << 8;
const OPEN_MS = 30_000;
const LOOK_MS = 20;

/** Until dom0's kernel has opened the domain's disk, which it does some time after xl has told it to. */
export async function diskIsOpen(domain: number): Promise<void> {
  const file = `/sys/bus/xen-backend/devices/vbd-${domain}-${FIRST_DISK}/physical_device`;
  for (const deadline = Date.now() + OPEN_MS; Date.now() < deadline;) {
    const isThere = await access(file).then(
      () => true,
      () => false,
    );
    if (isThere) return;
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
  }
  throw new Error("dom0 does not open the domain's disk");
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
