/**
 * Whether a disk image can be booted by GRUB as it runs in domains: only where it holds a file of that loader's settings, whose name then
 * stands somewhere in its bytes, whatever file systems it has. Who controls the inputs: the customer, every byte of the image.
 */
import { open, readFile, writeFile } from "node:fs/promises";
import { cached, type Cache } from "../qemu/images/cache.ts";

/** As file systems of Linux, ISO 9660 and FAT keep it; and what may stand there in its place (Xen's x86-xenpv-bootloader). */
const NAMES = ["grub.cfg", "GRUB.CFG", "GRUB    CFG", "pvboot-"];
const LONGEST = Math.max(...NAMES.map(({ length }) => length));
const PIECE_BYTES = 4 * 1024 * 1024;

/** `pieceBytes`: how much is read at once. */
export async function holdsBootSettings(file: string, pieceBytes = PIECE_BYTES): Promise<boolean> {
  const handle = await open(file, "r");
  try {
    const buffer = Buffer.alloc(LONGEST - 1 + pieceBytes);
    for (let at = 0; ;) {
      const { bytesRead } = await handle.read(buffer, LONGEST - 1, pieceBytes, at);
      const said = buffer.subarray(0, LONGEST - 1 + bytesRead);
      if (bytesRead > 0 && NAMES.some((name) => said.includes(name, 0, "latin1"))) return true;
      if (bytesRead === 0) return false;
      // a name may lie across two pieces
      said.copyWithin(0, bytesRead);
      at += bytesRead;
    }
  } finally {
    await handle.close();
  }
}

/** Of a file of the cache's; looked for once. `name`: the image's there. */
export async function bootsByGrub(file: string, name: string, cache: Cache): Promise<boolean> {
  const found = await cached(cache, `${name}.loader`, async (part) => writeFile(part, (await holdsBootSettings(file)) ? "grub" : "none"));
  return (await readFile(found, "utf8")) === "grub";
}
