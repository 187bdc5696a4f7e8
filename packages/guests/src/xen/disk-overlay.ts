/**
 * A domain's disk over an image that others have at the same time: dom0's kernel reads what was not written from one file, and writes
 * beside it into another (dm-snapshot). No process of ours is in between, and nothing of it has to be remembered: the kernel lets go of
 * the device once the domain has (dmsetup(8), --deferred). Who controls the inputs: this program, every path and number; the guest, how
 * much it writes.
 */
import { closeSync, fstatSync, ftruncateSync, openSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { run } from "../programs/start.ts";
import { hasMark } from "./domain-names.ts";

const BOUNDS = { timeout: 60_000, killSignal: "SIGKILL", env: { PATH: "/usr/sbin:/usr/bin:/sbin:/bin", LC_ALL: "C" } } as const;
const SECTORS_PER_MIB = 2_048;
/** 64 KiB: of each that is written dom0's kernel keeps a record of 32 bytes in memory, whoever writes them in whatever order. */
const CHUNK_SECTORS = 128;
/** Of a disk, what says which chunks were written: 16 bytes for each. */
const RECORD_SHARE = 1 / 4_096;
/** Its head, and the table that is begun before it is needed. */
const HEAD_MIB = 1;
const UUID_PREFIX = "xeno-";
const GONE_MS = 30_000;
const LOOK_MS = 100;

/** What lies under a domain's own file. */
export interface Overlay {
  base: string;
  /** Both are the domain's. */
  name: string;
  uuid: string;
  diskMib: number;
}

/** How large a domain's own file may grow: the whole disk written, and which parts those are. It is never full before the disk is. */
export const overlayMib = (diskMib: number): number => diskMib + Math.ceil(diskMib * RECORD_SHARE) + HEAD_MIB;

/** As dom0's kernel takes it (Documentation/admin-guide/device-mapper/snapshot.rst); what was written stays for the next. */
export const overlayTable = (diskMib: number, base: string, own: string): string =>
  `0 ${diskMib * SECTORS_PER_MIB} snapshot ${base} ${own} P ${CHUNK_SECTORS}`;

/** Zeros behind an image, up to the disk's end. Never smaller, and in one step: another domain of the image may need more of them. */
export function growTo(file: string, bytes: number): void {
  const descriptor = openSync(file, "r+");
  try {
    if (fstatSync(descriptor).size < bytes) ftruncateSync(descriptor, bytes);
  } finally {
    closeSync(descriptor);
  }
}

const dmsetup = async (...words: string[]): Promise<string> => (await run("dmsetup", words, BOUNDS)).stdout.trim();

/** The kernel loads this with the first device of its kind. */
const hasMapper = async (): Promise<boolean> => (await readFile("/proc/devices", "utf8")).includes("device-mapper");

async function overlays(): Promise<{ name: string; uuid: string }[]> {
  if (!(await hasMapper())) return [];
  const said = await dmsetup("info", "--columns", "--noheadings", "--separator", " ", "--options", "name,uuid");
  return said.split("\n").flatMap((line) => {
    const [name = "", uuid = ""] = line.trim().split(" ");
    return uuid.startsWith(UUID_PREFIX) ? [{ name, uuid: uuid.slice(UUID_PREFIX.length) }] : [];
  });
}

/** The kernel lets go of the last one of a domain that starts again some time after the domain is gone: two would write into one file. */
async function lastIsGone({ uuid }: Overlay): Promise<void> {
  for (const deadline = Date.now() + GONE_MS; (await overlays()).some((each) => each.uuid === uuid);) {
    if (Date.now() > deadline) throw new Error("dom0 still has the disk open that the domain had before");
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
  }
}

/** `base`, `own`: block devices of dom0's. The disk's own one. */
export async function makeOverlay(overlay: Overlay, { base, own }: { base: string; own: string }): Promise<string> {
  const { name, uuid, diskMib } = overlay;
  await lastIsGone(overlay);
  const table = overlayTable(diskMib, base, own);
  await dmsetup("create", name, "--uuid", `${UUID_PREFIX}${uuid}`, "--noudevsync", "--table", table);
  return `/dev/dm-${await dmsetup("info", "--columns", "--noheadings", "--options", "minor", name)}`;
}

/** At once where nobody has it open, else when nobody has it open any more. */
export const letOverlayGo = async (name: string): Promise<void> => void (await dmsetup("remove", "--deferred", "--noudevsync", name));

/**
 * Those of this server's domains that nobody has open: a daemon was killed as it made them. The others were let go of before, and go with
 * their domains, before this asks or after. `dm`: for tests.
 */
export async function sweepOverlays(mark: string, dm = { overlays, letGo: letOverlayGo }): Promise<void> {
  const own = async (): Promise<string[]> => (await dm.overlays()).flatMap(({ name, uuid }) => (hasMark(mark, uuid) ? [name] : []));
  const names = await own().catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return []; // without dmsetup there is none
    throw error;
  });
  for (const name of names)
    await dm.letGo(name).catch(async (error: unknown) => {
      if ((await own()).includes(name)) throw error;
    });
}

export const NO_ROOM = "this server's disk took no more of what the domain wrote: the domain's own disk is lost";

/** What `dmsetup status` says of one; null where that is nothing but how much was written. */
export const overlayProblem = (status: string): string | null => (/^0 \d+ snapshot \d+\/\d+ \d+$/.test(status.trim()) ? null : NO_ROOM);

/** Why a domain's disk cannot be read any more, in words; null where it can, or is not there. */
export async function overlayLost(overlay: Overlay | undefined): Promise<string | null> {
  if (!overlay) return null;
  const status = await dmsetup("status", overlay.name).catch(() => null);
  return status === null ? null : overlayProblem(status);
}

/** Why dom0 has no such disks, in words for its owner; null where it has. */
export async function overlaysMissing(): Promise<string | null> {
  await run("modprobe", ["--quiet", "dm-snapshot"], BOUNDS).catch(() => {}); // it may be part of the kernel
  const targets = await dmsetup("targets").catch(() => "");
  return /^snapshot\s/m.test(targets) ? null : "dmsetup and the kernel's dm-snapshot (apt install dmsetup)";
}
