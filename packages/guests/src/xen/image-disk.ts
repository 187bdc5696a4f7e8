/**
 * A customer's disk image as what lies under domains' disks: a raw file, made once by the image's digest and read by all domains of that
 * image. Of a raw image it is a copy, which shares its blocks where the file system can, of a qcow2 what qemu-img writes of it, in a box.
 * Who controls the inputs: the customer, every byte of the image.
 */
import { execFile } from "node:child_process";
import { chmod, constants, open, rename } from "node:fs/promises";
import { promisify } from "node:util";
import { mibOf, type ImageFormat } from "@xenoservers/protocol";
import { cached, type Cache } from "../qemu/images/cache.ts";
import { checkInside } from "../qemu/images/disks.ts";
import { checkImage } from "../qemu/images/image.ts";
import { uidOf } from "../qemu/machine/box.ts";
import { inOwnBox } from "../qemu/machine/own-box.ts";
import { boxFolder, boxPath, giveToBox, makeVmFolder } from "../qemu/machine/vm.ts";
import { Refusal } from "../qemu/refusal.ts";

const run = promisify(execFile);
const COPY_MS = 30 * 60_000;
/** Of what reads one disk and writes another, its tables and what is under way. */
const CONVERT_MIB = 512;
const CONVERTED = "disk.raw";

interface ImageDisk {
  image: string;
  format: ImageFormat;
  digest: string;
  diskMib: number;
  /** The domain's. */
  folder: string;
  /** Decides whom the box runs as; hex. */
  lease: string;
  signal?: AbortSignal | undefined;
}

async function converted({ image, folder, lease, signal }: ImageDisk, imageMib: number, to: string): Promise<void> {
  await makeVmFolder(folder);
  const uid = uidOf(lease);
  await giveToBox(boxFolder(folder), uid);
  await chmod(image, 0o444); // for the box's user, in folders that nobody else can enter
  const source = { driver: "qcow2", backing: null, file: { driver: "file", filename: "/img/disk", locking: "off" } };
  const from = `json:${JSON.stringify(source)}`;
  const work = { folder: boxFolder(folder), files: [{ host: image, name: "disk" }], uid, memoryMib: CONVERT_MIB };
  await inOwnBox({ ...work, fileMibMax: 1 }, ["qemu-img", "check", "-q", from], (command) => checkInside(command, signal));
  const words = ["qemu-img", "convert", "-q", "-O", "raw", from, `/w/${CONVERTED}`];
  const bounds = { timeout: COPY_MS, killSignal: "SIGKILL", ...(signal ? { signal } : {}) } as const;
  // of what was found whole, nothing that goes wrong now is the customer's
  await inOwnBox({ ...work, fileMibMax: imageMib + 64 }, words, ([program, ...args]) => run(program, args, bounds));
  await rename(boxPath(folder, CONVERTED), to);
  const handle = await open(to, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  try {
    if (!(await handle.stat()).isFile()) throw new Error("what came out of the box is no file");
    await handle.chown(process.getuid!(), process.getgid!());
  } finally {
    await handle.close();
  }
}

/** A file of the cache, read-only. Throws Refusal where the image is at fault. */
export async function imageBase(disk: ImageDisk, cache: Cache): Promise<string> {
  const { image, format, digest, diskMib, signal } = disk;
  const checked = await checkImage(image, format, diskMib);
  if (!checked.ok) throw new Refusal(checked.fault, checked.why);
  return cached(cache, `disk-${format}-${digest}.raw`, async (part) => {
    if (format === "qcow2") return converted(disk, mibOf(checked.virtualBytes), part);
    const bounds = { timeout: COPY_MS, killSignal: "SIGKILL", ...(signal ? { signal } : {}) } as const;
    await run("cp", ["--reflink=auto", "--sparse=always", "--", image, part], bounds);
  });
}
