/**
 * A stranger's disk image on this host, looked at by its header (protocol's disk-image.ts). Who controls the inputs: the customer, every
 * byte.
 */
import { constants } from "node:fs";
import { open } from "node:fs/promises";
import { IMAGE_HEADER_BYTES, diskImageProblem, type CheckedImage, type ImageFormat } from "@xenoservers/protocol";

/** Whether the file may be a guest's disk of at most `diskMib`; the reason in words where not. */
export async function checkImage(file: string, format: ImageFormat, diskMib: number): Promise<CheckedImage> {
  // an overlay lies where QEMU could have put a link or a pipe in its place
  const handle = await open(file, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  try {
    const about = await handle.stat();
    if (!about.isFile()) return { ok: false, fault: "bytes", why: "it is no file" };
    const fileBytes = BigInt(about.size);
    const bytes = Buffer.alloc(IMAGE_HEADER_BYTES);
    const { bytesRead } = await handle.read(bytes, 0, IMAGE_HEADER_BYTES, 0);
    return diskImageProblem(bytes.subarray(0, bytesRead), fileBytes, format, diskMib);
  } finally {
    await handle.close();
  }
}
