/** Where the files of an image on this machine lie: in a folder, or in a tar archive, which is read where it is. */
import { createReadStream, createWriteStream } from "node:fs";
import { mkdtemp, open, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { Readable, Transform } from "node:stream";
import { pipeline } from "node:stream/promises";
import { TarDamage } from "@xenoservers/protocol/archive";
import { ifThere } from "@xenoservers/protocol/files";
import { PACKING_BYTES, isDamage, packingOf } from "@xenoservers/protocol/unpack";
import { roomIn } from "../room.ts";
import { foundIn, heldIn, type Held, type HeldFile } from "./archive-index.ts";
import type { ImageParts } from "./image-parts.ts";
import { OciError } from "./source.ts";
import { unpackersHere } from "./unpackers-here.ts";

export interface ImageFiles extends ImageParts {
  /** The bytes of one that is there. */
  stream(name: string): Readable;
}

const withBytes = (files: Omit<ImageFiles, "bytes">): ImageFiles => ({
  ...files,
  bytes: async (name) => Buffer.concat(await files.stream(name).toArray()),
});

const OWN = { mode: 0o600 };

/** Puts it into a file of its own; false where there is none of that name. */
export async function copyIn(files: ImageFiles, name: string, file: string): Promise<boolean> {
  if ((await files.size(name)) === null) return false;
  await pipeline(files.stream(name), createWriteStream(file, OWN));
  return true;
}

function folderFiles(folder: string): ImageFiles {
  return withBytes({
    name: folder,
    async size(name) {
      // what leads out of it is not in it; what a link leads to is told by its digest
      if (path.isAbsolute(name) || path.normalize(name).startsWith("..")) return null;
      const found = await ifThere(stat(path.join(folder, name)));
      return found?.isFile() ? found.size : null;
    },
    stream: (name) => createReadStream(path.join(folder, name)),
  });
}

async function heldInFile(archive: string): Promise<Map<string, Held>> {
  const handle = await open(archive, "r");
  try {
    return await heldIn(handle, (await handle.stat()).size);
  } finally {
    await handle.close();
  }
}

function archiveFiles(archive: string, name: string, held: ReadonlyMap<string, Held>): ImageFiles {
  const find = (wanted: string): HeldFile | null => foundIn(held, wanted);
  return withBytes({
    name,
    size: async (wanted) => find(wanted)?.size ?? null,
    stream(wanted) {
      const { from = 0, size = 0 } = find(wanted) ?? {};
      // a range in a stream ends with its last byte
      return size === 0 ? Readable.from([]) : createReadStream(archive, { start: from, end: from + size - 1 });
    },
  });
}

/** Fails with an OciError where more comes than there is room for. */
function within(room: number, file: string): Transform {
  let bytes = 0;
  return new Transform({
    transform(piece: Buffer, _, passed) {
      bytes += piece.length;
      if (bytes <= room) return passed(null, piece);
      passed(new OciError(`${file} unpacks to more than ${tmpdir()} has room for: make room there, or set TMPDIR`));
    },
  });
}

/** As the archive itself, whatever it is packed with. Throws OciError where it is packed with something else, damaged, or too large. */
async function unpackedArchive(file: string, folder: string, room: number): Promise<string> {
  const found = packingOf(Buffer.concat(await createReadStream(file, { end: PACKING_BYTES - 1 }).toArray()));
  const through = found.ok ? await unpackersHere(found.packing) : null;
  if (!through) throw new OciError(`${file} is packed with something that is not unpacked here: give a plain archive, or one of gzip`);
  if (through.length === 0) return file;
  const unpacked = path.join(folder, "archive.tar");
  await pipeline([createReadStream(file), ...through, within(room, file), createWriteStream(unpacked, OWN)]);
  return unpacked;
}

/**
 * What lies at a path, until `done`, which leaves nothing behind. Throws OciError where there is nothing, no archive, or no room for what
 * it unpacks to; `roomOf`: how many bytes may be written there.
 */
export async function openFiles(at: string, roomOf = roomIn): Promise<{ files: ImageFiles; done(): Promise<void> }> {
  const found = await ifThere(stat(at));
  if (found?.isDirectory()) return { files: folderFiles(at), done: async () => {} };
  if (!found?.isFile()) throw new OciError(`there is no file and no folder ${at}`);
  const folder = await mkdtemp(path.join(tmpdir(), "xeno-oci-"));
  const done = (): Promise<void> => rm(folder, { recursive: true, force: true });
  try {
    const archive = await unpackedArchive(at, folder, await roomOf(folder));
    return { files: archiveFiles(archive, at, await heldInFile(archive)), done };
  } catch (cause) {
    await done();
    if (!isDamage(cause) && !(cause instanceof TarDamage)) throw cause;
    throw new OciError(`${at} is no archive of an OCI image (${cause.message})`, { cause });
  }
}
