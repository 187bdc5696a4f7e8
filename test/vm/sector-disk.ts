/** Disks of which the first sector is all that boots. */
import { writeFile } from "node:fs/promises";
import path from "node:path";

const SECTOR = 512;
const MIB = 1024 * 1024;

/** Prints each key on the screen, which the firmware shows on the serial line, too: int 16h, int 10h, again. */
export const TYPEWRITER = [0x31, 0xc0, 0xcd, 0x16, 0xb4, 0x0e, 0x31, 0xdb, 0xcd, 0x10, 0xeb, 0xf4];

/** A disk whose first sector is that program. */
export async function disk(folder: string, name: string, program: readonly number[]): Promise<string> {
  const file = path.join(folder, `${name}.raw`);
  const bytes = Buffer.alloc(MIB);
  bytes.set(program);
  bytes.writeUInt16BE(0x55aa, SECTOR - 2);
  await writeFile(file, bytes);
  return file;
}
