/**
 * A customer's qcow2 image as a raw file: what qemu-img writes of it, held in a box by memory, processor, time and the size of what it
 * writes. Who controls the inputs: the customer, every byte of the image.
 */
import { chmod, constants, open, rename } from "node:fs/promises";
import { run } from "../../programs/start.ts";
import { uidOf } from "../machine/box.ts";
import { inOwnBox } from "../machine/own-box.ts";
import { boxFolder, boxPath, giveToBox, makeVmFolder } from "../machine/vm.ts";
import { checkInside } from "./disks.ts";

export const WRITE_MS = 30 * 60_000;
/** Of what reads one disk and writes another, its tables and what is under way. */
const CONVERT_MIB = 512;
const CONVERTED = "disk.raw";

interface Qcow2 {
  image: string;
  /** What it is a disk of, by its header. */
  imageMib: number;
  /** The box's, on the file system of where it goes. */
  folder: string;
  /** Decides whom the box runs as; hex. */
  lease: string;
  signal?: AbortSignal | undefined;
}

/** Throws Refusal where the image is at fault. */
export async function writeRaw({ image, imageMib, folder, lease, signal }: Qcow2, to: string): Promise<void> {
  await makeVmFolder(folder);
  const uid = uidOf(lease);
  await giveToBox(boxFolder(folder), uid);
  await chmod(image, 0o444); // for the box's user, in folders that nobody else can enter
  const source = { driver: "qcow2", backing: null, file: { driver: "file", filename: "/img/disk", locking: "off" } };
  const from = `json:${JSON.stringify(source)}`;
  const work = { folder: boxFolder(folder), files: [{ host: image, name: "disk" }], uid, memoryMib: CONVERT_MIB };
  await inOwnBox({ ...work, fileMibMax: 1 }, ["qemu-img", "check", "-q", from], (command) => checkInside(command, signal));
  const words = ["qemu-img", "convert", "-q", "-O", "raw", from, `/w/${CONVERTED}`];
  const bounds = { timeout: WRITE_MS, killSignal: "SIGKILL", ...(signal ? { signal } : {}) } as const;
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
