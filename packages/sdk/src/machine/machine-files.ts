/** Files of a running machine, as both a page and Node have them. Who controls the inputs: the guest (names, sizes, bytes). */
import { toHex } from "@xenoservers/protocol";
import { unlessOff } from "../calling-off.ts";
import { bytesOf } from "../facade/given-program.ts";
import type { HeldBytes } from "../given-bytes.ts";
import { GuestFileError, GuestFiles, type GuestEntry } from "../guest/files.ts";
import { listed } from "../guest/listed.ts";
import type { MachineLink } from "../session/machine-link.ts";
import { Gathered } from "./gathered.ts";

/** Of a file that is read into memory. */
const READ_BYTES_MAX = 64 * 1024 * 1024;
/** Of a larger one, what is gathered before it becomes a part of a Blob, which lies where the platform keeps them. */
const PART_BYTES = 8 * 1024 * 1024;
const PIECE_BYTES = 64 * 1024;
/** Of what tells one part from another. */
const PART_NAME_BYTES = 16;
const LISTED_MAX = 100_000;
const FILE_MODE = 0o644;
const SECOND_MS = 1_000;

export interface Asking {
  signal?: AbortSignal;
}

/** Whoever waits for a file. */
export interface Moving extends Asking {
  /** Called as its bytes come or go: so many more. */
  onBytes?(bytes: number): void;
}

/** What is there and cannot be looked at. */
const UNKNOWN = { kind: "other", mode: 0, uid: 0, gid: 0, size: 0, mtime: 0, target: "", which: "" } as const;

async function* piecesOf(content: Uint8Array | HeldBytes, gone: (bytes: number) => void): AsyncGenerator<Uint8Array> {
  const size = content instanceof Uint8Array ? content.length : content.size;
  for (let at = 0; at < size; at += PART_BYTES) {
    const part = content.slice(at, Math.min(at + PART_BYTES, size));
    const bytes = part instanceof Uint8Array ? part : new Uint8Array(await part.arrayBuffer());
    for (let from = 0; from < bytes.length; from += PIECE_BYTES) {
      const piece = bytes.subarray(from, from + PIECE_BYTES);
      yield piece;
      gone(piece.length);
    }
  }
}

/** Beside it, until it is whole: of each call its own, for several may write one file, and short, for its name may be as long as any. */
function partOf(file: string): string {
  const named = file.replace(/\/+$/, "");
  return `${named.slice(0, named.lastIndexOf("/") + 1)}.xeno-part-${toHex(crypto.getRandomValues(new Uint8Array(PART_NAME_BYTES)))}`;
}

/** Files and folders of a running machine, each whole or not there. */
export class AnyMachineFiles {
  readonly #link: MachineLink;
  /** By file: the part that a write which came to nothing may have left in the guest. The next one there takes its place. */
  readonly #left = new Map<string, string>();

  constructor(link: MachineLink) {
    this.#link = link;
  }

  /** Null where nothing is there. */
  look(at: string, asking: Asking = {}): Promise<GuestEntry | null> {
    return this.with(asking, (files) => files.look(at));
  }

  /** All that lies below a folder, folders first. */
  list(folder: string, asking: Asking = {}): Promise<GuestEntry[]> {
    return this.with(asking, (files) => listed(files, folder, undefined, LISTED_MAX));
  }

  /** What lies in a folder itself, by name. A shell of an earlier server looks through all that is below. */
  entries(folder: string, asking: Asking = {}): Promise<GuestEntry[]> {
    return this.with(asking, async (files) => {
      const found: GuestEntry[] = [];
      const isShort = await files.can("entries");
      const list: Pick<GuestFiles, "list"> = {
        list: (path, each) => {
          const lost = (name: string): void => each({ ...UNKNOWN, path: name, isText: name.isWellFormed() });
          return isShort ? files.entries(path, each, lost) : files.list(path, each, () => {});
        },
      };
      for (const entry of await listed(list, folder, undefined, LISTED_MAX)) if (!entry.path.includes("/")) found.push(entry);
      return found;
    });
  }

  /** A file's bytes; larger ones than 64 MiB are for `readBlob`, or `copyOut` on Node. */
  async read(file: string, asking: Asking = {}): Promise<Uint8Array> {
    const held = new Gathered();
    await this.#get(file, asking, (bytes) => {
      if (held.size + bytes.length > READ_BYTES_MAX) throw new GuestFileError(`${file} is larger than ${READ_BYTES_MAX} bytes: readBlob`);
      held.add(bytes);
    });
    return held.bytes.slice();
  }

  /** A file as a Blob, however large it is: it lies where the platform keeps its Blobs. */
  async readBlob(file: string, { onBytes, ...asking }: Moving = {}): Promise<Blob> {
    const blobs: Blob[] = [];
    let held = new Gathered();
    const gather = (): void => {
      blobs.push(new Blob([held.bytes]));
      held = new Gathered();
    };
    await this.#get(file, asking, (bytes) => {
      held.add(bytes);
      if (held.size >= PART_BYTES) gather();
      onBytes?.(bytes.length);
    });
    gather();
    return new Blob(blobs);
  }

  #get(file: string, asking: Asking, each: (bytes: Uint8Array) => void): Promise<void> {
    return this.with(asking, (files) =>
      files.get(file, 0, { take: async (bytes) => each(bytes), whole: async () => {}, end: async () => {} }),
    );
  }

  /** A file with these bytes, whole or not there; a Blob is read piece by piece. */
  async write(file: string, content: string | Uint8Array | HeldBytes, { onBytes, ...asking }: Moving = {}): Promise<void> {
    const bytes = typeof content === "string" || content instanceof Uint8Array ? bytesOf(content) : content;
    const size = bytes instanceof Uint8Array ? bytes.length : bytes.size;
    const mtime = Math.floor(Date.now() / SECOND_MS);
    const part = this.#left.get(file) ?? partOf(file);
    this.#left.delete(file);
    try {
      await this.with(asking, (files) =>
        files.put({ path: file, part, offset: 0, size, mode: FILE_MODE, owner: null, mtime }, piecesOf(bytes, onBytes ?? (() => {}))),
      );
    } catch (error) {
      this.#left.set(file, part);
      throw error;
    }
  }

  /** A shell of its own for each call: one that is called off ends nothing else. */
  protected async with<T>({ signal }: Asking, use: (files: GuestFiles) => Promise<T>): Promise<T> {
    const files = await unlessOff(signal, GuestFiles.open(this.#link, signal));
    try {
      return await unlessOff(signal, use(files));
    } finally {
      files.close();
    }
  }
}
