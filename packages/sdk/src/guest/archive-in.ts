/**
 * Unpacks a tar archive into a folder of a running guest, as container engines do (`podman cp - CONTAINER:DIR`): packed or not, each file
 * whole or not there. It is kept on this machine while it comes, for its end says whether it is one. Who controls the inputs: whoever made
 * the archive (every byte); the guest (answers).
 */
import { createReadStream, createWriteStream } from "node:fs";
import { mkdtemp, open, rm, type FileHandle } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { Transform } from "node:stream";
import { pipeline } from "node:stream/promises";
import { visible } from "@xenoservers/protocol";
import { TarDamage, readTar, type TarEntry } from "@xenoservers/protocol/archive";
import { bytesOf } from "@xenoservers/protocol/archive/bytes";
import { PACKING_BYTES, isDamage, packingOf } from "@xenoservers/protocol/unpack";
import { nameOf } from "../byte-names.ts";
import { unpackersHere } from "../oci/unpackers-here.ts";
import { roomIn } from "../room.ts";
import { plainPart, type CopyOptions } from "./copy-in.ts";
import { GuestFileError, type GuestFiles, type Owner } from "./files.ts";
import { UnderWay } from "./under-way.ts";

const FOLDER_MODE = 0o755;

class ArchiveError extends Error {
  override name = "ArchiveError";
}

const text = (bytes: string): string => nameOf(Buffer.from(bytes, "latin1"));

/** Below the folder that it is unpacked into, without slashes and dots that say nothing; null where it leads out of it. */
export function pathOf(name: string): string | null {
  const parts = text(name)
    .split("/")
    .filter((part) => part !== "" && part !== ".");
  return parts.includes("..") ? null : parts.join("/");
}

function reasonToLeaveOut({ name, kind, target }: TarEntry): string | null {
  if (pathOf(name) === null || (kind === "link" && pathOf(target) === null)) return "it leads outside of the folder";
  return kind === "file" || kind === "directory" || kind === "symlink" || kind === "link" ? null : "it is no file, folder or link";
}

class ArchiveIn {
  readonly #files: GuestFiles;
  readonly #options: CopyOptions;
  readonly #folder: string;
  readonly #archive: FileHandle;
  readonly #underWay = new UnderWay();
  /** Known to be there. */
  readonly #there = new Set<string>([""]);
  /** Folders that were not there before, and what the archive says of folders. */
  readonly #made = new Set<string>();
  readonly #said = new Map<string, TarEntry>();
  readonly #progress: { bytes: number; bytesInAll: number; files: number };

  constructor(files: GuestFiles, options: CopyOptions, { folder, archive, size }: { folder: string; archive: FileHandle; size: number }) {
    this.#files = files;
    this.#options = options;
    this.#folder = folder;
    this.#archive = archive;
    this.#progress = { bytes: 0, bytesInAll: size, files: 0 };
  }

  #at = (below: string): string => path.posix.join(this.#folder, below);

  #owner({ uid, gid }: TarEntry): Owner {
    return this.#options.owners ? { uid, gid } : null;
  }

  async #parents(below: string): Promise<void> {
    const parts = below.split("/");
    for (let i = 1; i < parts.length; i++) {
      const parent = parts.slice(0, i).join("/");
      if (this.#there.has(parent)) continue;
      await this.#ensured(parent, FOLDER_MODE, null);
    }
  }

  async *#bytesOf(entry: TarEntry): AsyncGenerator<Uint8Array> {
    for await (const bytes of bytesOf(entry, this.#archive)) {
      this.#progress.bytes += bytes.length;
      this.#options.onProgress?.(this.#progress);
      yield bytes;
    }
  }

  async #ensured(below: string, mode: number, owner: Owner): Promise<void> {
    this.#there.add(below);
    const made = this.#files.folder(this.#at(below), mode, owner);
    await this.#underWay.add(made.then((isNew) => void (isNew && this.#made.add(below))));
  }

  async one(entry: TarEntry): Promise<void> {
    const below = pathOf(entry.name) ?? "";
    const { kind, size, mode, mtime, target } = entry;
    await this.#parents(below);
    if (kind === "directory") {
      this.#said.set(below, entry);
      return this.#ensured(below, mode, this.#owner(entry));
    }
    if (below === "") throw new ArchiveError("the archive makes its own folder something else");
    const at = this.#at(below);
    if (kind === "symlink") return this.#underWay.add(this.#files.link(at, text(target), this.#owner(entry)));
    if (kind === "link") {
      const file = this.#at(pathOf(target) ?? "");
      // GNU tar writes a file that is named twice as a link to itself
      return file === at ? undefined : this.#underWay.add(this.#files.name(at, file));
    }
    const about = { path: at, part: plainPart(at), offset: 0, size, mode, owner: this.#owner(entry), mtime: Math.floor(mtime) };
    await this.#underWay.add(this.#files.put(about, this.#bytesOf(entry)).then(() => void this.#progress.files++));
  }

  /** When all that they hold has come. */
  async end(): Promise<void> {
    await this.#underWay.all();
    for (const [below, { mode, mtime }] of [...this.#said].filter(([each]) => this.#made.has(each)).toReversed())
      await this.#underWay.add(this.#files.times(this.#at(below), mode, Math.floor(mtime)));
    await this.#underWay.all();
  }
}

/** In a file of its own. Throws ArchiveError where there is no room for it. */
async function kept(bytes: AsyncIterable<Uint8Array>, folder: string): Promise<string> {
  const [came, unpacked] = [path.join(folder, "came"), path.join(folder, "archive.tar")];
  const within = async (): Promise<Transform> => {
    let room = await roomIn(folder);
    return new Transform({
      transform(piece: Buffer, _, passed) {
        room -= piece.length;
        passed(
          room < 0 ? new ArchiveError(`the archive is larger than ${tmpdir()} has room for: make room there, or set TMPDIR`) : null,
          piece,
        );
      },
    });
  };
  await pipeline(bytes, await within(), createWriteStream(came, { mode: 0o600 }));
  const found = packingOf(Buffer.concat(await createReadStream(came, { end: PACKING_BYTES - 1 }).toArray()));
  const through = found.ok ? await unpackersHere(found.packing) : null;
  if (!through) throw new ArchiveError("what is piped in is packed with something that is not unpacked here: pipe in a tar archive");
  if (through.length === 0) return came;
  await pipeline([createReadStream(came), ...through, await within(), createWriteStream(unpacked, { mode: 0o600 })]);
  return unpacked;
}

async function unpackedInto(files: GuestFiles, file: string, folder: string, options: CopyOptions): Promise<string[]> {
  const archive = await open(file, "r");
  try {
    const { size } = await archive.stat();
    if (size === 0) throw new ArchiveError("nothing is piped in: pipe in a tar archive, as of tar -c FOLDER");
    const leftOut: string[] = [];
    const unpacking = new ArchiveIn(files, options, { folder, archive, size });
    for await (const entry of readTar(archive, size)) {
      const why = reasonToLeaveOut(entry);
      if (why === null) await unpacking.one(entry);
      else leftOut.push(`${visible(text(entry.name))}: ${why}`);
    }
    await unpacking.end();
    return leftOut;
  } finally {
    await archive.close();
  }
}

/** Returns what was left out, a line each. Throws GuestFileError with what the guest says, ArchiveError where it is no archive. */
export async function archiveIn(
  files: GuestFiles,
  bytes: AsyncIterable<Uint8Array>,
  folder: string,
  options: CopyOptions,
): Promise<string[]> {
  if ((await files.lookBehind(folder))?.kind !== "folder") throw new GuestFileError(`${folder} is no folder in the guest`);
  const own = await mkdtemp(path.join(tmpdir(), "xeno-cp-"));
  try {
    return await unpackedInto(files, await kept(bytes, own), folder, options);
  } catch (cause) {
    if (!isDamage(cause) && !(cause instanceof TarDamage)) throw cause;
    throw new ArchiveError(`what is piped in is no tar archive (${cause.message})`, { cause });
  } finally {
    await rm(own, { recursive: true, force: true });
  }
}
