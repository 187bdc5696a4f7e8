/**
 * Digests of large files that a program of this user has hashed, from one of its runs to the next: such a file is not read again as long as
 * it is the very one, of this size, and nobody has changed it since (mtime, and ctime, which nobody can set). For what this user runs on
 * this machine alone: whoever answers for bytes to others hashes them (hashed-files.ts). Who controls the inputs: this user, whose folder
 * the list lies in.
 */
import { stat } from "node:fs/promises";
import path from "node:path";
import { readIfThere, writeWhole } from "@xenoservers/protocol/files";

/** Less is read in no time. */
const FROM_BYTES = 1024 * 1024;
/** Some file systems count times by two seconds (FAT). */
const SETTLED_MS = 2_500;
/** Those that were hashed last. */
const KNOWN_MAX = 64;
const DIGEST = /^[0-9a-f]{64}$/;

interface Known {
  file: string;
  state: string;
  digest: string;
}

interface Found {
  size: number;
  /** When anything of it was changed last. */
  changedMs: number;
  state: string;
}

const isKnown = (value: unknown): value is Known => {
  const { file, state, digest } = (value ?? {}) as Record<string, unknown>;
  return typeof file === "string" && typeof state === "string" && typeof digest === "string" && DIGEST.test(digest);
};

async function foundAt(file: string): Promise<Found> {
  const { dev, ino, size, mtimeNs, ctimeNs, ctimeMs } = await stat(file, { bigint: true });
  return { size: Number(size), changedMs: Number(ctimeMs), state: [dev, ino, size, mtimeNs, ctimeNs].join(":") };
}

export class KnownDigests {
  readonly #list: string;
  readonly #now: () => number;

  /** `list`: the file that they are kept in, which may not be there. */
  constructor(list: string, now: () => number = Date.now) {
    this.#list = list;
    this.#now = now;
  }

  /** None where it is damaged, which costs reading what it said. */
  async #read(): Promise<Known[]> {
    try {
      const all: unknown = JSON.parse((await readIfThere(this.#list)) ?? "[]");
      return Array.isArray(all) ? all.filter(isKnown) : [];
    } catch {
      return [];
    }
  }

  /** Null where it has to be read. Throws where there is no such file. */
  async find(file: string): Promise<{ digest: string; size: number } | null> {
    const { size, state } = await foundAt(file);
    const known = size < FROM_BYTES ? null : (await this.#read()).find((each) => each.file === path.resolve(file));
    return known?.state === state ? { digest: known.digest, size } : null;
  }

  /** Hashes it by `read`, and remembers what that says where nobody has changed the file meanwhile. */
  async learn<Read extends { digest: string }>(file: string, read: (file: string) => Promise<Read>): Promise<Read> {
    const begunMs = this.#now();
    const before = await foundAt(file);
    const came = await read(file);
    const { state } = await foundAt(file);
    // one that was changed lately may be changed once more within the same tick of its file system's clock
    if (before.size < FROM_BYTES || state !== before.state || before.changedMs >= begunMs - SETTLED_MS) return came;
    const [own, others] = [path.resolve(file), await this.#read()];
    const all = [{ file: own, state, digest: came.digest }, ...others.filter((each) => each.file !== own)];
    // there may be no room to keep it
    await writeWhole(this.#list, JSON.stringify(all.slice(0, KNOWN_MAX))).catch(() => {});
    return came;
  }
}
