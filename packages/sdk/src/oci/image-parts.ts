/** The files of an image, wherever they lie: in a folder, in an archive, in what a page holds. */
import { OciError } from "./source.ts";

export interface ImageParts {
  /** For error texts. */
  readonly name: string;
  /** They are what a program holds, and have no name of their own. */
  readonly isHeld?: true;
  /** Null where there is none of that name. */
  size(name: string): Promise<number | null>;
  /** All of one that is there. */
  bytes(name: string): Promise<Uint8Array>;
}

/** Null where there is none of that name. Throws OciError where it is larger. */
export async function bytesIn(files: ImageParts, name: string, bytesMax: number): Promise<Uint8Array | null> {
  const size = await files.size(name);
  if (size === null) return null;
  if (size > bytesMax) throw new OciError(`${name} of ${files.name} is larger than any is`);
  return files.bytes(name);
}
