/**
 * The NoCloud seed as a disk (ISO 9660 at its plainest: one folder, volume id "cidata"): what cloud-init finds by its label on any disk,
 * without a network. Pure. Who controls the inputs: the customer (the files' bytes; their names are the market's four).
 */
const SECTOR = 2_048;
const FIRST_SECTOR = 16;
const VOLUME = "CIDATA";
const RECORD_BYTES = 33;
/** Disks of a pool grow in these. */
const GRAIN_BYTES = 2 * 1024 * 1024;

interface SeedFile {
  name: string;
  bytes: Uint8Array;
}

const sectorsOf = (bytes: number): number => Math.ceil(bytes / SECTOR);
const padded = (text: string, length: number): Buffer => Buffer.from(text.padEnd(length, " "), "latin1");

function both32(value: number): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeUInt32LE(value, 0);
  bytes.writeUInt32BE(value, 4);
  return bytes;
}

function both16(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt16LE(value, 0);
  bytes.writeUInt16BE(value, 2);
  return bytes;
}

/** ECMA-119 section 9.1. */
function record(name: Buffer, at: number, size: number, isFolder: boolean): Buffer {
  const length = RECORD_BYTES + name.length + ((RECORD_BYTES + name.length) % 2);
  const bytes = Buffer.alloc(length);
  bytes[0] = length;
  both32(at).copy(bytes, 2);
  both32(size).copy(bytes, 10);
  Buffer.from([100, 1, 1, 0, 0, 0, 0]).copy(bytes, 18);
  bytes[25] = isFolder ? 2 : 0;
  both16(1).copy(bytes, 28);
  bytes[32] = name.length;
  name.copy(bytes, 33);
  return bytes;
}

/** ECMA-119 section 8.4. */
function volume(sectors: number, root: Buffer, table: number): Buffer {
  const bytes = Buffer.alloc(SECTOR);
  bytes[0] = 1;
  bytes.write("CD001", 1, "latin1");
  bytes[6] = 1;
  padded("LINUX", 32).copy(bytes, 8);
  padded(VOLUME, 32).copy(bytes, 40);
  both32(sectors).copy(bytes, 80);
  both16(1).copy(bytes, 120);
  both16(1).copy(bytes, 124);
  both16(SECTOR).copy(bytes, 128);
  both32(10).copy(bytes, 132);
  bytes.writeUInt32LE(table, 140);
  bytes.writeUInt32BE(table + 1, 148);
  root.copy(bytes, 156);
  padded("", 623).copy(bytes, 190);
  for (const at of [813, 830, 847, 864]) padded("0".repeat(16), 16).copy(bytes, at);
  bytes[881] = 1;
  return bytes;
}

/** The one folder's entry, in either byte order (ECMA-119 section 9.4). */
function pathTable(root: number, isLittle: boolean): Buffer {
  const bytes = Buffer.alloc(SECTOR);
  bytes[0] = 1;
  if (isLittle) bytes.writeUInt32LE(root, 2);
  else bytes.writeUInt32BE(root, 2);
  if (isLittle) bytes.writeUInt16LE(1, 6);
  else bytes.writeUInt16BE(1, 6);
  return bytes;
}

export function seedDisk(files: readonly SeedFile[]): Buffer {
  const [table, root] = [FIRST_SECTOR + 2, FIRST_SECTOR + 4];
  let next = root + 1;
  const placed = [...files]
    .sort((a, b) => (a.name < b.name ? -1 : 1))
    .map(({ name, bytes }) => {
      const at = next;
      next += sectorsOf(bytes.length);
      return { name: Buffer.from(`${name};1`, "latin1"), bytes, at };
    });
  const self = record(Buffer.from([0]), root, SECTOR, true);
  const folder = Buffer.concat([
    self,
    record(Buffer.from([1]), root, SECTOR, true),
    ...placed.map(({ name, bytes, at }) => record(name, at, bytes.length, false)),
  ]);
  const disk = Buffer.alloc(Math.ceil((next * SECTOR) / GRAIN_BYTES) * GRAIN_BYTES);
  volume(next, self, table).copy(disk, FIRST_SECTOR * SECTOR);
  Buffer.from("\xffCD001\x01", "latin1").copy(disk, (FIRST_SECTOR + 1) * SECTOR);
  pathTable(root, true).copy(disk, table * SECTOR);
  pathTable(root, false).copy(disk, (table + 1) * SECTOR);
  folder.copy(disk, root * SECTOR);
  for (const { bytes, at } of placed) disk.set(bytes, at * SECTOR);
  return disk;
}
