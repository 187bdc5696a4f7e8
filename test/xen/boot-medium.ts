/** A medium that a BIOS boots (El Torito, without emulating another drive): no file system, and a program of one sector. */

const SECTOR = 2048;
/** Places on it: what ISO 9660 fixes, and then the catalogue and the program. */
const [VOLUME, BOOT_RECORD, END, CATALOGUE, PROGRAM, COUNT] = [16, 17, 18, 19, 20, 32];
const SYSTEM_ID_AT = 7;
const CATALOGUE_AT = 71;
/** Of the catalogue: its heading and its one entry, which is to be booted. */
const ENTRY = 32;
const [PLATFORM_X86_KEYS, BOOTABLE] = [0xaa55, 0x88];
/** Of 512 bytes, as the BIOS reads them. */
const LOADED_SECTORS = 4;

function heading(): Buffer {
  const bytes = Buffer.alloc(ENTRY);
  bytes.writeUInt8(1);
  bytes.writeUInt16LE(PLATFORM_X86_KEYS, 30);
  let sum = 0;
  for (let at = 0; at < ENTRY; at += 2) sum += bytes.readUInt16LE(at);
  bytes.writeUInt16LE(-sum & 0xffff, 28);
  return bytes;
}

function entry(): Buffer {
  const bytes = Buffer.alloc(ENTRY);
  bytes.writeUInt8(BOOTABLE);
  bytes.writeUInt16LE(LOADED_SECTORS, 6);
  bytes.writeUInt32LE(PROGRAM, 8);
  return bytes;
}

export function bootMedium(program: readonly number[]): Buffer {
  const bytes = Buffer.alloc(COUNT * SECTOR);
  const descriptors: readonly (readonly [place: number, kind: number])[] = [
    [VOLUME, 1],
    [BOOT_RECORD, 0],
    [END, 255],
  ];
  for (const [place, kind] of descriptors) bytes.set([kind, ...Buffer.from("CD001"), 1], place * SECTOR);
  bytes.write("EL TORITO SPECIFICATION", BOOT_RECORD * SECTOR + SYSTEM_ID_AT);
  bytes.writeUInt32LE(CATALOGUE, BOOT_RECORD * SECTOR + CATALOGUE_AT);
  bytes.set(Buffer.concat([heading(), entry()]), CATALOGUE * SECTOR);
  bytes.set(program, PROGRAM * SECTOR);
  return bytes;
}
