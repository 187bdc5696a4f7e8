/** Paths of this machine whose names are bytes (byte-names.ts), as its kernel takes them. */
import { bytesOfName } from "./byte-names.ts";

export function kernelPath(file: string): string | Buffer {
  return file.isWellFormed() ? file : Buffer.from(bytesOfName(file));
}
