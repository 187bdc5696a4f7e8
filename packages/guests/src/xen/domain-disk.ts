/**
 * A domain's disk: a sparse raw file of its folder, as a loop device. The kernel lets go of the device by itself once the domain has
 * (losetup(8), --detach), so nothing of it has to be remembered. Who controls the inputs: this program, every path.
 */
import { access, copyFile, open, stat } from "node:fs/promises";
import path from "node:path";
import { run } from "../programs/start.ts";
import { hashedFiles } from "../hashed-files.ts";
import { isRecord } from "../json.ts";
import { letOverlayGo, makeOverlay, type Overlay } from "./disk-overlay.ts";

const MIB = 1024 * 1024;
const BOUNDS = { timeout: 60_000, killSignal: "SIGKILL", env: { PATH: "/usr/sbin:/usr/bin:/sbin:/bin", LC_ALL: "C" } } as const;

/** What lies under a domain's own disk, where it is an image's; and the disk beside it for cloud-init. Nobody writes to either. */
export const [BASE, SEED] = ["base.raw", "seed.raw"] as const;

export const isThere = (file: string): Promise<boolean> =>
  access(file).then(
    () => true,
    () => false,
  );

/** A link of the domain's own outlives whoever kept the file. */
export const held = (file: string, own: string): Promise<string> =>
  hashedFiles
    .link(file, own)
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

/** A file that is a disk of the domain's, or what it writes over another file. */
export interface DiskFile {
  file: string;
  isWritable: boolean;
  over?: Overlay;
}

/** As xl is told of it. */
export interface ConfiguredDisk {
  device: string;
  isWritable: boolean;
}

/** As a block device of dom0's. */
export interface DomainDevice extends ConfiguredDisk {
  /** Major and minor as xenstore has them, in hex. */
  numbers: string;
}

/** As makedev(3) packs them. */
function numbersOf(rdev: number): string {
  const packed = BigInt(rdev);
  const major = ((packed >> 8n) & 0xfffn) | ((packed >> 32n) & 0xfffff000n);
  const minor = (packed & 0xffn) | ((packed >> 12n) & 0xffffff00n);
  return `${major.toString(16)}:${minor.toString(16)}`;
}

/** Calls with a block device for each file; what opened them meanwhile keeps them. */
export async function asDevices<T>(files: readonly DiskFile[], call: (devices: readonly DomainDevice[]) => Promise<T>): Promise<T> {
  const attached: string[] = [];
  const layered: string[] = [];
  const attach = async (file: string, isWritable: boolean): Promise<string> => {
    const { stdout } = await run("losetup", [...(isWritable ? [] : ["--read-only"]), "--find", "--show", file], BOUNDS);
    attached.push(stdout.trim());
    return stdout.trim();
  };
  const deviceOf = async ({ file, isWritable, over }: DiskFile): Promise<string> => {
    const own = await attach(file, isWritable);
    if (!over) return own;
    const device = await makeOverlay(over, { base: await attach(over.base, false), own });
    layered.push(over.name);
    return device;
  };
  try {
    const devices: DomainDevice[] = [];
    for (const each of files) {
      const device = await deviceOf(each);
      devices.push({ device, numbers: numbersOf((await stat(device)).rdev), isWritable: each.isWritable });
    }
    return await call(devices);
  } finally {
    for (const name of layered) await letOverlayGo(name);
    if (attached.length > 0) await run("losetup", ["--detach", ...attached], BOUNDS);
  }
}

/** Of the disk at a place, its number (xen-vbd-interface(7)): those from the seventeenth on are of another scheme. */
const numberOf = (place: number): number => (place < 16 ? (202 << 8) | (place << 4) : (1 << 28) | (place << 8));

/**
 * What a block script of the distribution's would say of each disk (xl-disk-configuration(5), script), in xenstore: which device it is, and
 * that it is there. The first is what dom0's kernel waits for.
 */
export const deviceNodes = (domain: number, devices: readonly DomainDevice[]): (readonly [node: string, value: string])[] =>
  devices.flatMap(({ device, numbers }, place) => {
    const disk = `/local/domain/0/backend/vbd/${domain}/${numberOf(place)}`;
    const said = { "physical-device-path": device, "physical-device": numbers, "hotplug-status": "connected" };
    return Object.entries(said).map(([name, value]) => [`${disk}/${name}`, value] as const);
  });

const OPEN_MS = 30_000;
const LOOK_MS = 20;

/** Until dom0's kernel has opened the domain's disks, which it does some time after it was told which they are. */
export async function disksAreOpen(domain: number, count: number): Promise<void> {
  for (let place = 0; place < count; place++) await diskIsOpen(`/sys/bus/xen-backend/devices/vbd-${domain}-${numberOf(place)}`);
}

async function diskIsOpen(backend: string): Promise<void> {
  const file = path.join(backend, "physical_device");
  for (const deadline = Date.now() + OPEN_MS; Date.now() < deadline;) {
    if (await isThere(file)) return;
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
  }
  throw new Error("dom0 does not open a disk of the domain's");
}

type Losetup = (...words: string[]) => Promise<string>;
const losetupHere: Losetup = async (...words) => (await run("losetup", words, BOUNDS)).stdout;

/** Loop devices of files below a folder. */
async function devicesBelow(folder: string, losetup: Losetup): Promise<string[]> {
  const stdout = await losetup("--list", "--json", "--output", "NAME,BACK-FILE");
  if (stdout.trim() === "") return []; // there are none
  const said: unknown = JSON.parse(stdout);
  const devices: unknown[] = isRecord(said) && Array.isArray(said["loopdevices"]) ? said["loopdevices"] : [];
  return devices.flatMap((each) => {
    if (!isRecord(each) || typeof each["name"] !== "string" || typeof each["back-file"] !== "string") return [];
    return each["back-file"].startsWith(`${path.resolve(folder)}/`) ? [each["name"]] : [];
  });
}

/**
 * Lets go of devices of files below a folder that nobody has open: a daemon was killed as it made them. Of a domain that was destroyed just
 * now the kernel lets go by itself, before this asks or after. `losetup`: for tests.
 */
export async function sweepDevices(folder: string, losetup = losetupHere): Promise<void> {
  for (const device of await devicesBelow(folder, losetup))
    await losetup("--detach", device).catch(async (error: unknown) => {
      if ((await devicesBelow(folder, losetup)).includes(device)) throw error;
    });
}
