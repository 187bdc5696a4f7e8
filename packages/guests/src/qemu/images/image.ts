/**
 * Disk images that strangers send. QEMU's formats can name other files of the host (backing files, external data files): such an image is refused
 * before QEMU sees it, by its header alone (QEMU docs/interop/qcow2). Who controls the inputs: the customer, every byte.
 */
import { open, stat } from "node:fs/promises";

export type ImageProblem = { ok: false; fault: "bytes" | "limits"; why: string };
export type CheckedImage = { ok: true; virtualBytes: bigint } | ImageProblem;

const MIB = 1024 * 1024;
const QCOW2_MAGIC = 0x514649fb;
const SECTOR = 512;
const refused = (why: string, fault: ImageProblem["fault"] = "bytes"): ImageProblem => ({ ok: false, fault, why });

/** Bits of the header's incompatible features: 0 dirty, 1 corrupt, 2 external data file, 3 compression type, 4 extended L2 entries. */
const FEATURE = { dirty: 1n, corrupt: 2n, externalData: 4n, compressionType: 8n, extendedL2: 16n } as const;
const KNOWN_FEATURES = 31n;
const L1_ENTRY_BYTES = 8n;

function checkQcow2(header: Buffer, fileBytes: bigint): CheckedImage {
  if (header.length < 72) return refused("the image is cut off inside its header");
  if (header.readUInt32BE(0) !== QCOW2_MAGIC) return refused("it is not a qcow2 image; write --format raw for a plain disk image");
  const version = header.readUInt32BE(4);
  if (version !== 2 && version !== 3) return refused(`qcow2 version ${version} is not known`);
  if (header.readBigUInt64BE(8) !== 0n || header.readUInt32BE(16) !== 0)
    return refused("the image refers to a backing file; flatten it first: qemu-img convert -O qcow2 IMAGE FLAT");
  const clusterBits = header.readUInt32BE(20);
  if (clusterBits < 9 || clusterBits > 21) return refused("the image's cluster size is not one that qcow2 knows");
  const virtualBytes = header.readBigUInt64BE(24);
  if (header.readUInt32BE(32) !== 0) return refused("the image is encrypted by qcow2; decrypt it first: qemu-img convert");
  const l1Entries = BigInt(header.readUInt32BE(36));
  const l1Offset = header.readBigUInt64BE(40);
  const perEntry = 1n << BigInt(2 * clusterBits - 3);
  if (l1Entries * perEntry < virtualBytes || l1Offset + l1Entries * L1_ENTRY_BYTES > fileBytes || l1Offset === 0n)
    return refused("the image's table of contents lies outside the file: it is corrupt or cut off");
  if (version === 3) {
    if (header.length < 104) return refused("the image is cut off inside its header");
    const features = header.readBigUInt64BE(72);
    if (features & FEATURE.externalData) return refused("the image keeps its data in another file; flatten it first: qemu-img convert -O qcow2 IMAGE FLAT");
    if (features & FEATURE.corrupt) return refused("the image is marked corrupt; repair it first: qemu-img check -r all IMAGE");
    if (features & ~KNOWN_FEATURES) return refused("the image uses features of qcow2 that are not known here");
  }
  return { ok: true, virtualBytes };
}

/** Whether the file may be a guest's disk of at most `diskMib`; the reason in words where not. */
export async function checkImage(file: string, format: "qcow2" | "raw", diskMib: number): Promise<CheckedImage> {
  const fileBytes = BigInt((await stat(file)).size);
  const handle = await open(file, "r");
  let header: Buffer;
  try {
    const bytes = Buffer.alloc(SECTOR);
    header = bytes.subarray(0, (await handle.read(bytes, 0, SECTOR, 0)).bytesRead);
  } finally {
    await handle.close();
  }
  if (format === "raw" && header.length >= 4 && header.readUInt32BE(0) === QCOW2_MAGIC) return refused("the image is qcow2, not raw; write --format qcow2");
  if (fileBytes === 0n) return refused("the image is empty");
  const checked: CheckedImage = format === "raw" ? { ok: true, virtualBytes: fileBytes } : checkQcow2(header, fileBytes);
  if (!checked.ok) return checked;
  const most = BigInt(diskMib) * BigInt(MIB);
  if (checked.virtualBytes > most)
    return refused(
      `the image is a disk of ${(checked.virtualBytes + BigInt(MIB) - 1n) / BigInt(MIB)} MiB, the lease has ${diskMib} MiB: order more with --disk`,
      "limits",
    );
  return checked;
}
