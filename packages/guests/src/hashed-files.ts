/**
 * Which bytes files hold, as this process has hashed them: such a file is not read again as long as it is the very one, of this size, and
 * nobody has changed it since (mtime, and ctime, which nobody can set). Giving a file another name, or taking one away, changes its ctime
 * too: what is done here is told from what others do. It is remembered for an hour, and by no later process, for a disk that loses bytes or
 * the machine's power changes no time of a file. Trusted: who can write where the file lies, for the moment that it takes to give it a
 * name. Who controls the inputs: the customer, every byte and how many files; this program, every path.
 */
import { createHash, type Hash } from "node:crypto";
import type { BigIntStats } from "node:fs";
import { link, lstat, open, readdir, rm, type FileHandle } from "node:fs/promises";
import path from "node:path";

const READ_BYTES = 1024 * 1024;
/** Less is read in no time. */
const KNOWN_FROM_BYTES = 1024 * 1024;
/** Those that were hashed last. */
const KNOWN_MAX = 10_000;
const KNOWN_MS = 3_600_000;

interface Known {
  digest: string;
  state: string;
  atMs: number;
}

const idOf = ({ dev, ino }: BigIntStats): string => `${dev}:${ino}`;
const bytesState = ({ size, mtimeNs }: BigIntStats): string => `${size}:${mtimeNs}`;
const stateOf = (found: BigIntStats): string => `${bytesState(found)}:${found.ctimeNs}`;
const stated = (handle: FileHandle): Promise<BigIntStats> => handle.stat({ bigint: true });

async function opened<T>(file: string, call: (handle: FileHandle) => Promise<T>): Promise<T> {
  const handle = await open(file, "r");
  try {
    return await call(handle);
  } finally {
    await handle.close();
  }
}

/** Of all that an open file holds. */
export async function hashOf(handle: FileHandle): Promise<Hash> {
  const hash = createHash("sha256");
  const buffer = Buffer.allocUnsafe(READ_BYTES);
  for (let at = 0; ;) {
    const { bytesRead } = await handle.read(buffer, 0, READ_BYTES, at);
    if (bytesRead === 0) return hash;
    hash.update(buffer.subarray(0, bytesRead));
    at += bytesRead;
  }
}

export class HashedFiles {
  /** By which file it is, whatever its names. */
  readonly #known = new Map<string, Known>();
  readonly #nowMs: () => number;
  /** One name at a time: what two change at once could not be told from what others change. */
  #turn: Promise<unknown> = Promise.resolve();

  /** Of a clock that nobody sets; given by tests. */
  constructor(nowMs: () => number = () => performance.now()) {
    this.#nowMs = nowMs;
  }

  #remember(found: BigIntStats, known: Omit<Known, "state">): void {
    const id = idOf(found);
    this.#known.delete(id);
    if (found.size < KNOWN_FROM_BYTES) return;
    this.#known.set(id, { ...known, state: stateOf(found) });
    for (const [oldest] of this.#known) {
      if (this.#known.size <= KNOWN_MAX) break;
      this.#known.delete(oldest);
    }
  }

  /** Null where it has to be read. */
  #knownOf(found: BigIntStats): Known | null {
    const known = this.#known.get(idOf(found));
    if (known?.state === stateOf(found) && this.#nowMs() - known.atMs < KNOWN_MS) return known;
    this.#known.delete(idOf(found));
    return null;
  }

  /** SHA-256, in hex. */
  digestOf(file: string): Promise<string> {
    return opened(file, async (handle) => {
      const before = await stated(handle);
      const known = this.#knownOf(before);
      if (known) return known.digest;
      const atMs = this.#nowMs();
      const digest = (await hashOf(handle)).digest("hex");
      if (stateOf(await stated(handle)) === stateOf(before)) this.#remember(before, { digest, atMs });
      return digest;
    });
  }

  /** Of a file that was hashed as it was written, all by its writer. */
  async written(handle: FileHandle, digest: string): Promise<void> {
    this.#remember(await stated(handle), { digest, atMs: this.#nowMs() });
  }

  /** As link(2): what is known of the file stays known. */
  link(file: string, name: string): Promise<void> {
    return this.#named(file, 1n, () => link(file, name));
  }

  /** Before a folder goes: of files in it that have names elsewhere, what is known stays known. Their names here go. */
  async leave(folder: string): Promise<void> {
    if (this.#known.size === 0) return;
    for (const entry of await readdir(folder, { withFileTypes: true }).catch(() => [])) {
      if (!entry.isFile()) continue;
      const file = path.join(folder, entry.name);
      const found = await lstat(file, { bigint: true }).catch(() => null); // it may go meanwhile
      if (found && found.nlink > 1n && this.#known.has(idOf(found))) await this.#named(file, -1n, () => rm(file, { force: true }));
    }
  }

  /** A folder with all in it, as rm(1) does. */
  async remove(folder: string): Promise<void> {
    await this.leave(folder);
    // what watched it may write its last word there meanwhile
    await rm(folder, { recursive: true, force: true, maxRetries: 10 });
  }

  #named(file: string, more: bigint, change: () => Promise<void>): Promise<void> {
    const done = this.#turn.then(() =>
      opened(file, async (handle) => {
        const before = await stated(handle);
        const known = this.#knownOf(before);
        await change();
        if (!known) return;
        const after = await stated(handle);
        const isOnlyNamed = bytesState(after) === bytesState(before) && after.nlink === before.nlink + more;
        if (isOnlyNamed) this.#remember(after, known);
      }),
    );
    this.#turn = done.catch(() => {});
    return done;
  }
}

/** Of this process: its files are the machine's, whoever asks. */
export const hashedFiles = new HashedFiles();
