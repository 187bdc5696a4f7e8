/**
 * A customer's disk image as a plain disk on this machine, for a host that takes no other. It is as large as the image says, and qemu-img,
 * which reads the stranger's bytes, is held in a box by memory, processor, time and the size of what it writes. Who controls the inputs:
 * the customer, every byte of the image.
 */
import { chmod, mkdir, mkdtemp, rm, statfs, truncate } from "node:fs/promises";
import path from "node:path";
import { run } from "../../programs/start.ts";
import { mibOf, type ImageFormat } from "@xenoservers/protocol";
import { boxProblem } from "../machine/box.ts";
import { Refusal } from "../refusal.ts";
import { checkImage } from "./image.ts";
import { writeRaw } from "./raw-disk.ts";

const MIB = 1024 * 1024;
/** Decides the user id of boxes that belong to no lease; hex. */
const CONVERTER = "00000004";
const LEFT_FREE_MIB = 1_024;

/** Why qcow2 images cannot be read here, in words; null where they can. `folder`: this user's own. */
export async function convertProblem(folder: string): Promise<string | null> {
  const found = await run("qemu-img", ["--version"]).catch(() => null);
  return found === null ? "qemu-img is missing: apt install qemu-utils" : boxProblem(folder);
}

interface StrangersImage {
  file: string;
  format: ImageFormat;
  /** It may be no larger. */
  diskMib: number;
}

/** What it is a disk of, by its header. Throws Refusal where it is not what it is said to be, or larger than was ordered. */
async function diskBytesOf({ file, format, diskMib }: StrangersImage): Promise<number> {
  const checked = await checkImage(file, format, diskMib);
  if (!checked.ok) throw new Refusal(checked.fault, checked.why);
  return Number(checked.virtualBytes);
}

async function converted(image: StrangersImage, bytes: number, scratch: string, signal?: AbortSignal): Promise<string> {
  const diskMib = mibOf(BigInt(bytes));
  const { bavail, bsize } = await statfs(scratch);
  if ((bavail * bsize) / MIB < diskMib + LEFT_FREE_MIB)
    throw new Error(`this machine has no room for a disk of ${diskMib} MiB to be converted`);
  const file = path.join(scratch, "disk");
  await writeRaw({ image: image.file, imageMib: diskMib, folder: scratch, lease: CONVERTER, signal }, file);
  await chmod(file, 0o600);
  await truncate(file, diskMib * MIB);
  return file;
}

/** Calls with a plain disk, which is gone afterwards where it had to be made; of a plain image with that itself. */
export async function asPlainDisk<T>(
  image: StrangersImage,
  folder: string,
  call: (file: string, bytes: number) => Promise<T>,
  signal?: AbortSignal,
): Promise<T> {
  const bytes = await diskBytesOf(image);
  if (image.format === "raw") return call(image.file, bytes);
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const scratch = await mkdtemp(path.join(folder, "convert-"));
  try {
    return await call(await converted(image, bytes, scratch, signal), mibOf(BigInt(bytes)) * MIB);
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
}
