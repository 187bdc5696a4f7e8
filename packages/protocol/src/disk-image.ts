/**
 * Disk images that strangers send, by their headers alone. QEMU's formats can name other files of the host (backing files, external data
 * files): such an image is refused before QEMU sees it (QEMU docs/interop/qcow2), and before it is ordered. Pure. Who controls the
 * inputs: the customer, every byte.
 */

/** `bytes`: the image is at fault; `limits`: what was ordered is too small for it. */
type ImageProblem = { ok: false; fault: "bytes" | "limits"; why: string };
export type CheckedImage = { ok: true; virtualBytes: bigint } | ImageProblem;
export type ImageFormat = "qcow2" | "raw";

/** How much of an image's beginning is looked at. */
export const IMAGE_HEADER_BYTES = 512;

const MIB = 1024 * 1024;
const QCOW2_MAGIC = 0x514649fb;
const refused = (why: string, fault: ImageProblem["fault"] = "bytes"): ImageProblem => ({ ok: false, fault, why });

/** Bits of the header's incompatible features: 0 dirty, 1 corrupt, 2 external data file, 3 compression type, 4 extended L2 entries. */
const FEATURE = { dirty: 1n, corrupt: 2n, externalData: 4n, compressionType: 8n, extendedL2: 16n } as const;
const KNOWN_FEATURES = 31n;
const L1_ENTRY_BYTES = 8n;

const viewOf = (header: Uint8Array): DataView => new DataView(header.buffer, header.byteOffset, header.byteLength);

export const isQcow2 = (header: Uint8Array): boolean => header.length >= 4 && viewOf(header).getUint32(0) === QCOW2_MAGIC;

function checkQcow2(header: Uint8Array, fileBytes: bigint): CheckedImage {
  if (header.length < 72) return refused("the image is cut off inside its header");
  if (!isQcow2(header)) return refused("it is not a qcow2 image; write --format raw for a plain disk image");
  const view = viewOf(header);
  const version = view.getUint32(4);
  if (version !== 2 && version !== 3) return refused(`qcow2 version ${version} is not known`);
  if (view.getBigUint64(8) !== 0n || view.getUint32(16) !== 0)
    return refused("the image refers to a backing file; flatten it first: qemu-img convert -O qcow2 IMAGE FLAT");
  const clusterBits = view.getUint32(20);
  if (clusterBits < 9 || clusterBits > 21) return refused("the image's cluster size is not one that qcow2 knows");
  const virtualBytes = view.getBigUint64(24);
  if (view.getUint32(32) !== 0) return refused("the image is encrypted by qcow2; decrypt it first: qemu-img convert");
  const l1Entries = BigInt(view.getUint32(36));
  const l1Offset = view.getBigUint64(40);
  const perEntry = 1n << BigInt(2 * clusterBits - 3);
  if (l1Entries * perEntry < virtualBytes || l1Offset + l1Entries * L1_ENTRY_BYTES > fileBytes || l1Offset === 0n)
    return refused("the image's table of contents lies outside the file: it is corrupt or cut off");
  if (version === 3) {
    if (header.length < 104) return refused("the image is cut off inside its header");
    const features = view.getBigUint64(72);
    if (features & FEATURE.externalData)
      return refused("the image keeps its data in another file; flatten it first: qemu-img convert -O qcow2 IMAGE FLAT");
    if (features & FEATURE.corrupt) return refused("the image is marked corrupt; repair it first: qemu-img check -r all IMAGE");
    if (features & ~KNOWN_FEATURES) return refused("the image uses features of qcow2 that are not known here");
  }
  return { ok: true, virtualBytes };
}

/** What kind of disk it is and how large; the reason in words where it can be nobody's. `header`: its first bytes, as many as there are. */
export function checkDiskImage(header: Uint8Array, fileBytes: bigint, format: ImageFormat): CheckedImage {
  if (format === "raw" && isQcow2(header)) return refused("the image is qcow2, not raw; write --format qcow2");
  if (fileBytes === 0n) return refused("the image is empty");
  return format === "raw" ? { ok: true, virtualBytes: fileBytes } : checkQcow2(header, fileBytes);
}

export const mibOf = (bytes: bigint): number => Number((bytes + BigInt(MIB) - 1n) / BigInt(MIB));

/** The same, and whether it fits on a disk of `diskMib`. */
export function diskImageProblem(header: Uint8Array, fileBytes: bigint, format: ImageFormat, diskMib: number): CheckedImage {
  const checked = checkDiskImage(header, fileBytes, format);
  if (!checked.ok || mibOf(checked.virtualBytes) <= diskMib) return checked;
  return refused(
    `the image is a disk of ${mibOf(checked.virtualBytes)} MiB, the lease has ${diskMib} MiB: order more with --disk`,
    "limits",
  );
}
