/**
 * A customer's disk image as what lies under domains' disks: a raw file, made once by the image's digest and read by all domains of that
 * image. Of a raw image it is a copy, which shares its blocks where the file system can, of a qcow2 what qemu-img writes of it, in a box.
 * Who controls the inputs: the customer, every byte of the image.
 */
import { run } from "../programs/start.ts";
import { mibOf, type ImageFormat } from "@xenoservers/protocol";
import { cached, type Cache } from "../qemu/images/cache.ts";
import { checkImage } from "../qemu/images/image.ts";
import { WRITE_MS, writeRaw } from "../qemu/images/raw-disk.ts";
import { Refusal } from "../qemu/refusal.ts";

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

/** A file of the cache, read-only. Throws Refusal where the image is at fault. */
export async function imageBase(disk: ImageDisk, cache: Cache): Promise<string> {
  const { image, format, digest, diskMib, signal } = disk;
  const checked = await checkImage(image, format, diskMib);
  if (!checked.ok) throw new Refusal(checked.fault, checked.why);
  return cached(cache, `disk-${format}-${digest}.raw`, async (part) => {
    if (format === "qcow2") return writeRaw({ ...disk, imageMib: mibOf(checked.virtualBytes) }, part);
    const bounds = { timeout: WRITE_MS, killSignal: "SIGKILL", ...(signal ? { signal } : {}) } as const;
    await run("cp", ["--reflink=auto", "--sparse=always", "--", image, part], bounds);
  });
}
