/**
 * Customers' modules as the engine made them, so that a known job starts without being rewritten and waiting workers can compile it
 * ahead. Kept by customer, digest and engine, from one start to the next: what a guest process leaves here counts for its own customer
 * only, as does everything else that it says. One customer has a quarter of the room, which holds any one module. Workers get copies.
 */
import { randomUUID } from "node:crypto";
import { mkdir, open, readdir, rename, rm, stat, utimes } from "node:fs/promises";
import path from "node:path";
import { ENGINE_VERSION } from "@xenoservers/engine";
import { guestFilePieces } from "./guest-files.ts";
import type { HandedIn } from "./worker/handing.ts";

/** What a worker hands a module in as. */
const PREPARED: HandedIn = "prepared.wasm";
const MIB = 1024 * 1024;
const MODULES_MAX = 32;
const MODULES_OF_ONE_MAX = 8;
/** Of one customer as many as the engine makes of one module at most. */
const BYTES_MAX = 4 * 512 * MIB;

interface KnownModule {
  customer: string;
  digest: string;
}

const ENDING = `-${ENGINE_VERSION}.wasm`;
const customerOf = (name: string): string => name.slice(0, name.indexOf("-"));
const nameOf = ({ customer, digest }: KnownModule): string => `${customer}-${digest}${ENDING}`;

export class ModuleCache {
  readonly #folder: string;
  readonly #bytesMax: number;
  /** Bytes by file name, least recently used first. */
  readonly #held = new Map<string, number>();

  constructor(folder: string, bytesMax = BYTES_MAX) {
    this.#folder = folder;
    this.#bytesMax = bytesMax;
  }

  get #bytesOfOneMax(): number {
    return Math.floor(this.#bytesMax / 4);
  }

  /** Goes on with what an earlier daemon kept that this engine made; the rest goes. */
  async open(): Promise<void> {
    await mkdir(this.#folder, { recursive: true, mode: 0o700 });
    const found: { name: string; size: number; usedAt: number }[] = [];
    for (const name of await readdir(this.#folder)) {
      const there = name.endsWith(ENDING) ? await stat(path.join(this.#folder, name)).catch(() => null) : null;
      if (there?.isFile() === true) found.push({ name, size: there.size, usedAt: there.mtimeMs });
      else await rm(path.join(this.#folder, name), { recursive: true, force: true });
    }
    for (const { name, size } of found.sort((a, b) => a.usedAt - b.usedAt)) this.#held.set(name, size);
    await this.#keepWithin();
  }

  /** The file with the prepared module; null when it is not here. */
  async find(module: KnownModule): Promise<string | null> {
    const name = nameOf(module);
    const size = this.#held.get(name);
    if (size === undefined) return null;
    this.#held.delete(name);
    const file = path.join(this.#folder, name);
    const now = new Date();
    // another process may share the folder, and have let go of it
    const isThere = await utimes(file, now, now).then(
      () => true,
      () => false,
    );
    if (!isThere) return null;
    this.#held.set(name, size);
    return file;
  }

  /** Takes what the worker handed in. Idempotent. */
  async keep(module: KnownModule, workerFolder: string): Promise<void> {
    const name = nameOf(module);
    if (this.#held.has(name)) return;
    const file = path.join(this.#folder, name);
    const part = `${file}.${randomUUID()}.part`;
    try {
      const size = await copyGuestFile(workerFolder, part, this.#bytesOfOneMax + 1);
      if (size > 0 && size <= this.#bytesOfOneMax) {
        await rename(part, file);
        this.#held.set(name, size);
      }
    } finally {
      await rm(part, { force: true });
    }
    await this.#keepWithin();
  }

  /** Keeps nothing of this one. */
  forget(module: KnownModule): Promise<void> {
    return this.#letGo(nameOf(module));
  }

  /** Lets go of what was used longest ago, of a customer with too much and then of all. */
  async #keepWithin(): Promise<void> {
    for (const customer of new Set([...this.#held.keys()].map(customerOf))) {
      const own = (): [string, number][] => [...this.#held].filter(([name]) => customerOf(name) === customer);
      await this.#shrink(own, MODULES_OF_ONE_MAX, this.#bytesOfOneMax);
    }
    await this.#shrink(() => [...this.#held], MODULES_MAX, this.#bytesMax);
  }

  async #shrink(held: () => [name: string, size: number][], modulesMax: number, bytesMax: number): Promise<void> {
    for (;;) {
      const all = held();
      const [oldest] = all;
      if (oldest === undefined || (all.length <= modulesMax && all.reduce((sum, [, size]) => sum + size, 0) <= bytesMax)) return;
      await this.#letGo(oldest[0]);
    }
  }

  async #letGo(name: string): Promise<void> {
    this.#held.delete(name);
    await rm(path.join(this.#folder, name), { force: true });
  }

  /** Lets go of all of them. */
  async makeRoom(): Promise<void> {
    for (const name of [...this.#held.keys()]) await this.#letGo(name);
  }
}

/** In pieces: a large module would fill the daemon's memory. Returns how many bytes there are. */
async function copyGuestFile(workerFolder: string, to: string, bytesMax: number): Promise<number> {
  const file = await open(to, "wx", 0o600);
  let size = 0;
  try {
    for await (const piece of guestFilePieces(workerFolder, PREPARED, bytesMax)) {
      await file.writeFile(piece);
      size += piece.length;
    }
    // a name that outlives a power cut has all its bytes
    await file.sync();
  } finally {
    await file.close();
  }
  return size;
}
