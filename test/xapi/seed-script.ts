/** What user-data a machine finds on its seed: the disk is read as ISO 9660, by another's rules than those that wrote it. */
const SECTOR = 2_048;

export function seedFiles(disk: Buffer): Map<string, Buffer> {
  const files = new Map<string, Buffer>();
  const volume = disk.subarray(16 * SECTOR, 17 * SECTOR);
  if (volume.subarray(1, 6).toString("latin1") !== "CD001" || volume.subarray(40, 72).toString("latin1").trim().toLowerCase() !== "cidata")
    return files;
  const root = volume.readUInt32LE(156 + 2) * SECTOR;
  const end = root + volume.readUInt32BE(156 + 14);
  for (let at = root; at < end && disk[at] !== 0; at += disk[at] ?? end) {
    const name = disk.subarray(at + 33, at + 33 + (disk[at + 32] ?? 0)).toString("latin1");
    const from = disk.readUInt32BE(at + 6) * SECTOR;
    const isFolder = ((disk[at + 25] ?? 0) & 2) !== 0;
    if (!isFolder) files.set(name.replace(/;1$/, "").toLowerCase(), disk.subarray(from, from + disk.readUInt32LE(at + 10)));
  }
  return files;
}

export const seedScript = (disk: Buffer): string => seedFiles(disk).get("user-data")?.toString() ?? "";
