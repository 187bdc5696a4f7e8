/** Where the files of an image on this machine lie: in a folder, or in a tar archive, which is read where it is. */
import { createReadStream, createWriteStream } from "node:fs";
import { mkdtemp, open, rm, stat, type FileHandle } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { Readable, Transform } from "node:stream";
import { pipeline } from "node:stream/promises";
import { TarDamage, readTar } from "@xenoservers/protocol/archive";
import { ifThere } from "@xenoservers/protocol/files";
import { PACKING_BYTES, isDamage, packingOf } from "@xenoservers/protocol/unpack";
import { roomIn } from "../room.ts";
import { OciError } from "./source.ts";
import { unpackersHere } from "./unpackers-here.ts";

export interface ImageFiles {
  /** For error texts. */
  readonly name: string;
  /** Null where there is none of that name. */
  size(name: string): Promise<number | null>;
  /** The bytes of one that is there. */
  stream(name: string): Readable;
}

/** Null where there is none of that name. Throws OciError where it is larger. */
export async function bytesIn(files: ImageFiles, name: string, bytesMax: number): Promise<Buffer | null> {
  const size = await files.size(name);
  if (size === null) return null;
  if (size > bytesMax) throw new OciError(`${name} of ${files.name} is larger than any is`);
  return Buffer.concat(await files.stream(name).toArray());
}

const OWN = { mode: 0o600 };

/** Puts it into a file of its own; false where there is none of that name. */
export async function copyIn(files: ImageFiles, name: string, file: string): Promise<boolean> {
  if ((await files.size(name)) === null) return false;
  await pipeline(files.stream(name), createWriteStream(file, OWN));
  return true;
}

function folderFiles(folder: string): ImageFiles {
  return {
    name: folder,
    async size(name) {
      // what leads out of it is not in it; what a link leads to is told by its digest
      if (path.isAbsolute(name) || path.normalize(name).startsWith("..")) return null;
      const found = await ifThere(stat(path.join(folder, name)));
      return found?.isFile() ? found.size : null;
    },
    stream: (name) => createReadStream(path.join(folder, name)),
  };
}

/**
 * What an archive of an image holds that anybody asks for: files, and links to them, as `docker save` once wrote them. Some lead from where
 * they lie, some from the top: the first that leads to something counts.
 */
type Held = { is: "file"; from: number; size: number } | { is: "link"; to: readonly string[] };
const HELD_MAX = 100_000;
/** Of names and targets together: a name may be as long as an extended header is, and a link's is kept in two ways. */
const HELD_TEXT_MAX = 16 * 1024 * 1024;
const LINKS_MAX = 8;

/** As every name of a file in an archive is looked for: `./a//b` is `a/b`. */
const plainName = (name: string): string => path.posix.normalize(name).replace(/^\/+/, "");

/** By the name that is looked for. Throws TarDamage where it is no archive. */
export async function heldIn(archive: FileHandle, bytes: number): Promise<Map<string, Held>> {
  const held = new Map<string, Held>();
  let text = 0;
  for await (const { name, kind, size, pieces, target } of readTar(archive, bytes)) {
    text += 2 * (name.length + target.length);
    if (text > HELD_TEXT_MAX) throw new TarDamage(`the names of its files take more than ${HELD_TEXT_MAX} bytes`);
    const at = plainName(name);
    if (kind === "symlink") held.set(at, { is: "link", to: [path.posix.join(path.posix.dirname(at), target), target].map(plainName) });
    else if (kind === "link") held.set(at, { is: "link", to: [plainName(target)] });
    else if (kind === "file") {
      const [first] = pieces; // without holes they lie one after the other
      const stored = pieces.reduce((sum, { length }) => sum + length, 0);
      if (stored !== size) throw new TarDamage(`${at} has holes`);
      held.set(at, { is: "file", from: first?.from ?? 0, size });
    }
    if (held.size > HELD_MAX) throw new TarDamage(`it holds more than ${HELD_MAX} files`);
  }
  return held;
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
  const find = (wanted: string): Extract<Held, { is: "file" }> | null => {
    let found = held.get(plainName(wanted));
    for (let links = 0; found?.is === "link" && links < LINKS_MAX; links++) {
      const to = found.to.find((name) => held.has(name));
      found = to === undefined ? undefined : held.get(to);
    }
    return found?.is === "file" ? found : null;
  };
  return {
    name,
    size: async (wanted) => find(wanted)?.size ?? null,
    stream(wanted) {
      const { from = 0, size = 0 } = find(wanted) ?? {};
      // a range in a stream ends with its last byte
      return size === 0 ? Readable.from([]) : createReadStream(archive, { start: from, end: from + size - 1 });
    },
  };
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
