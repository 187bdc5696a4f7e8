/**
 * A file or folder of a running guest as a tar archive, piece by piece, as container engines write it (`podman cp CONTAINER:PATH -`): under
 * the name that it has there, what a folder holds behind it. Who controls the inputs: the guest (names, kinds, targets, bytes).
 */
import path from "node:path";
import { visible } from "@xenoservers/protocol";
import { TAR_END, padding, tarHeader, type TarHeader } from "@xenoservers/protocol/archive/write";
import { bytesOfName } from "../byte-names.ts";
import type { CopyOptions } from "./copy-in.ts";
import { GuestFileError, type FileSink, type GuestEntry, type GuestFiles } from "./files.ts";
import { listed } from "./listed.ts";
import { fileOf } from "./same-file.ts";
import { UnderWay } from "./under-way.ts";

const TYPES = { file: "0", link: "2", folder: "5" } as const;
const ZEROS = Buffer.alloc(64 * 1024);

type Write = (bytes: Uint8Array) => Promise<void>;
const bytesOf = (text: string): string => Buffer.from(bytesOfName(text)).toString("latin1");

/** `first`: another name of the same file, which is there already. */
function headerOf(name: string, { kind, mode, uid, gid, mtime, size, target }: GuestEntry, first?: string): Buffer {
  const type: TarHeader["type"] = first !== undefined ? "1" : kind === "other" ? "0" : TYPES[kind];
  const to = first ?? (kind === "link" ? target : "");
  return tarHeader({
    ...{ name: bytesOf(kind === "folder" ? `${name}/` : name), type, mode, uid, gid, mtime: Math.max(0, mtime) },
    ...{ target: bytesOf(to), size: kind === "file" && first === undefined ? size : 0, major: 0, minor: 0, xattrs: [] },
  });
}

function reasonToLeaveOut({ kind, target }: GuestEntry): string | null {
  if (kind === "link" && target === "") return "what it leads to cannot be read";
  return kind === "other" ? "it is no file, folder or link" : null;
}

class ArchiveOut {
  readonly leftOut: string[];
  readonly #files: GuestFiles;
  readonly #write: Write;
  readonly #options: CopyOptions;
  readonly #underWay = new UnderWay();
  readonly #firsts = new Map<string, string>();
  readonly #refused = new Set<string>();
  readonly #progress: { bytes: number; bytesInAll: number; files: number };

  constructor(files: GuestFiles, write: Write, options: CopyOptions, leftOut: string[], bytesInAll: number) {
    this.leftOut = leftOut;
    this.#files = files;
    this.#write = write;
    this.#options = options;
    this.#progress = { bytes: 0, bytesInAll, files: 0 };
  }

  async plain(name: string, entry: GuestEntry, first?: string): Promise<void> {
    await this.#underWay.all(); // nothing stands amid a file
    await this.#write(headerOf(name, entry, first));
  }

  /** One that the guest calls the same as another that came is one more name of it. */
  async maybeNamed(source: string, name: string, entry: GuestEntry): Promise<void> {
    const file = fileOf(entry);
    const first = file === null ? undefined : this.#firsts.get(file);
    if (file !== null && first === undefined) this.#firsts.set(file, name);
    if (first === undefined) return this.file(source, name, entry);
    await this.#underWay.all();
    if (this.#refused.has(first)) return this.file(source, name, entry);
    await this.plain(name, entry, first);
    this.#progress.files++;
    this.#told(entry.size);
  }

  #told(bytes: number): void {
    this.#progress.bytes += bytes;
    this.#options.onProgress?.(this.#progress);
  }

  /** Its header says how long it is: what is more is cut, what is less is zeros, and both are named. */
  #sink(name: string, entry: GuestEntry): FileSink {
    let left = entry.size;
    let begun = false;
    let isCut = false;
    const begin = async (): Promise<void> => {
      if (!begun) await this.#write(headerOf(name, entry));
      begun = true;
    };
    return {
      take: async (bytes) => {
        await begin();
        const piece = bytes.subarray(0, left);
        left -= piece.length;
        isCut ||= piece.length < bytes.length;
        await this.#write(piece);
        this.#told(piece.length);
      },
      whole: begin,
      end: async () => {
        if (!begun) return;
        if (isCut) this.leftOut.push(`${visible(name)}: it holds more than it said, and is cut`);
        if (left > 0) this.leftOut.push(`${visible(name)}: it became shorter while it was copied, and ends in zeros`);
        for (; left > 0; left -= Math.min(left, ZEROS.length)) await this.#write(ZEROS.subarray(0, left));
        await this.#write(Buffer.alloc(padding(entry.size)));
        this.#progress.files++;
      },
    };
  }

  async file(source: string, name: string, entry: GuestEntry): Promise<void> {
    const came = this.#files.get(source, 0, this.#sink(name, entry)).catch((error: unknown) => {
      if (!(error instanceof GuestFileError)) throw error;
      this.#refused.add(name);
      this.leftOut.push(`${visible(name)}: ${visible(error.message)}`);
    });
    await this.#underWay.add(came);
  }

  async end(): Promise<void> {
    await this.#underWay.all();
    await this.#write(TAR_END);
  }
}

/** Returns what was left out, in words. Throws GuestFileError with what the guest says. */
export async function archiveOut(files: GuestFiles, source: string, write: Write, options: CopyOptions): Promise<string[]> {
  const behind = await files.lookBehind(source);
  const top = behind?.kind === "folder" ? behind : await files.look(source);
  if (!top) throw new GuestFileError(`${source}: No such file or directory`);
  const copiesContent = /(^|\/)\.?$/.test(source);
  const own = copiesContent ? "." : path.posix.basename(path.posix.resolve("/", source));
  const why = reasonToLeaveOut(top);
  if (why !== null) throw new GuestFileError(`${source}: ${why}`);
  const leftOut: string[] = [];
  const entries = top.kind === "folder" ? await listed(files, source, (at, lost) => leftOut.push(`${visible(at)}: ${lost}`)) : [];
  const bytes = [top, ...entries].reduce((all, { kind, size }) => all + (kind === "file" ? size : 0), 0);
  const archive = new ArchiveOut(files, write, options, leftOut, bytes);
  if (top.kind === "file") await archive.file(source, own, top);
  else await archive.plain(own, top);
  for (const entry of entries) {
    const [at, name] = [path.posix.join(source, entry.path), `${own}/${entry.path}`];
    const problem = reasonToLeaveOut(entry);
    if (problem !== null) archive.leftOut.push(`${visible(entry.path)}: ${problem}`);
    else if (entry.kind === "file") await archive.maybeNamed(at, name, entry);
    else await archive.plain(name, entry);
  }
  await archive.end();
  return archive.leftOut;
}
