/** Files of a running machine. Who controls the inputs: the guest (names, sizes, bytes); whoever runs this (places here). */
import path from "node:path";
import { copyIn } from "../../guest/copy-in.ts";
import { copyOut } from "../../guest/copy-out.ts";
import { GuestFileError, GuestFiles, type GuestEntry } from "../../guest/files.ts";
import { unlessOff } from "../../facade/calling-off.ts";
import type { MachineLink } from "../../session/machine-link.ts";

/** Of a file that is read into memory. */
const READ_BYTES_MAX = 64 * 1024 * 1024;
const LISTED_MAX = 100_000;
const FILE_MODE = 0o644;

interface Asking {
  signal?: AbortSignal;
}
interface Copying extends Asking {
  /** Owners as they are on the other side. */
  owners?: boolean;
}

/** Files and folders of a running machine, each whole or not there. */
export class MachineFiles {
  readonly #link: MachineLink;

  constructor(link: MachineLink) {
    this.#link = link;
  }

  /** Null where nothing is there. */
  look(at: string, asking: Asking = {}): Promise<GuestEntry | null> {
    return this.#with(asking, (files) => files.look(at));
  }

  /** All that lies below a folder, folders first. */
  list(folder: string, asking: Asking = {}): Promise<GuestEntry[]> {
    return this.#with(asking, async (files) => {
      const found: GuestEntry[] = [];
      await files.list(folder, (entry) => {
        if (found.length >= LISTED_MAX) throw new GuestFileError(`${folder} holds more than ${LISTED_MAX} files`);
        found.push(entry);
      });
      return found;
    });
  }

  /** A file's bytes; larger ones than 64 MiB are for `copyOut`. */
  read(file: string, asking: Asking = {}): Promise<Uint8Array> {
    return this.#with(asking, async (files) => {
      const parts: Uint8Array[] = [];
      let size = 0;
      await files.get(file, 0, {
        async take(bytes) {
          if ((size += bytes.length) > READ_BYTES_MAX) throw new GuestFileError(`${file} is larger than ${READ_BYTES_MAX} bytes: copyOut`);
          parts.push(Uint8Array.from(bytes));
        },
        async whole() {},
        async end() {},
      });
      return Buffer.concat(parts);
    });
  }

  /** A file with these bytes, whole or not there. */
  write(file: string, content: string | Uint8Array, asking: Asking = {}): Promise<void> {
    const bytes = typeof content === "string" ? new TextEncoder().encode(content) : content.slice();
    const part = path.posix.join(path.posix.dirname(file), `.xeno-part-${path.posix.basename(file)}`);
    const mtime = Math.floor(Date.now() / 1_000);
    return this.#with(asking, (files) =>
      files.put({ path: file, part, offset: 0, size: bytes.length, mode: FILE_MODE, owner: null, mtime }, piecesOf(bytes)),
    );
  }

  /** A file or folder of this machine into the guest; gives what was left out, in words. */
  copyIn(here: string, there: string, { owners = false, ...asking }: Copying = {}): Promise<string[]> {
    return this.#with(asking, (files) => copyIn(files, here, there, { owners }));
  }

  /** And out of it. */
  copyOut(there: string, here: string, { owners = false, ...asking }: Copying = {}): Promise<string[]> {
    return this.#with(asking, (files) => copyOut(files, there, here, { owners }));
  }

  /** A shell of its own for each call: one that is called off ends nothing else. */
  async #with<T>({ signal }: Asking, use: (files: GuestFiles) => Promise<T>): Promise<T> {
    const files = await unlessOff(signal, GuestFiles.open(this.#link));
    try {
      return await unlessOff(signal, use(files));
    } finally {
      files.close();
    }
  }
}

const PIECE_BYTES = 64 * 1024;

async function* piecesOf(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += PIECE_BYTES) yield bytes.subarray(at, at + PIECE_BYTES);
}
