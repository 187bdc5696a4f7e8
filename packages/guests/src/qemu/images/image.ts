/**
 * A stranger's disk image on this host, looked at by its header (protocol's disk-image.ts). Who controls the inputs: the customer, every
 * byte.
 */
import { open, stat } from "node:fs/promises";
import { IMAGE_HEADER_BYTES, diskImageProblem, type CheckedImage, type ImageFormat } from "@xenoservers/protocol";

/** Whether the file may be a guest's disk of at most `diskMib`; the reason in words where not. */
export async function checkImage(file: string, format: ImageFormat, diskMib: number): Promise<CheckedImage> {
  const fileBytes = BigInt((await stat(file)).size);
  const handle = await open(file, "r");
  try {
    const bytes = Buffer.alloc(IMAGE_HEADER_BYTES);
    const { bytesRead } = await handle.read(bytes, 0, IMAGE_HEADER_BYTES, 0);
    return diskImageProblem(bytes.subarray(0, bytesRead), fileBytes, format, diskMib);
  } finally {
    await handle.close();
  }
}
