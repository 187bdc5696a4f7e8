/**
 * Customers' modules as the engine made them, so that a known job starts without being rewritten and waiting workers can compile it
 * ahead. Kept by customer, digest and engine, from one start to the next: what a guest process leaves here counts for its own customer
 * only, as does everything else that it says. One customer has a quarter of the room, which holds any one module. Workers see them
 * read-only.
 */
import { randomUUID } from "node:crypto";
import { mkdir, open, readdir, rename, rm, stat, utimes } from "node:fs/promises";
import path from "node:path";
import { ENGINE_VERSION } from "@xenoservers/engine";
import { ifThere } from "@xenoservers/protocol/files";
import { guestFilePieces } from "./guest-files.ts";
import type { HandedIn } from "./worker/handing.ts";
import { CODE_SUFFIX } from "./worker/machine-code.ts";

/** What a worker hands a module in as. */
const PREPARED: HandedIn = "prepared.wasm";
const CODE: HandedIn = "prepared.code";
const MIB = 1024 * 1024;
const MODULES_MAX = 32;
const MODULES_OF_ONE_MAX = 8;
/** Of one customer as many as the engine makes of one module at most. */
const BYTES_MAX = 4 * 512 * MIB;
/** Of one module's machine code: more takes longer to read than it saves. */
const CODE_BYTES_MAX = 128 * MIB;

interface KnownModule {
  customer: string;
  digest: string;
}

const ENDING = `-${ENGINE_VERSION}.wasm`;
/** Beside the module, and gone with it. */
const codeOf = (file: string): string => `${file}${CODE_SUFFIX}`;
const sizeOf = (file: string): Promise<number> =>
  stat(file).then(
    ({ size }) => size,
    () => 0,
  );
const customerOf = (name: string): string => name.slice(0, name.indexOf("-"));
const nameOf = ({ customer, digest }: KnownModule): string => `${customer}-${digest}${ENDING}`;

/** What a cache in this folder keeps of a module, for who does not keep anything in it; null: nothing. */
export async function keptModule(folder: string, module: KnownModule): Promise<string | null> {
  const file = path.join(folder, nameOf(module));
  return (await ifThere(stat(file)))?.isFile() === true ? file : null;
}

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
    const names = await readdir(this.#folder);
    for (const name of names) {
      if (name.endsWith(codeOf(ENDING)) && names.includes(name.slice(0, -CODE_SUFFIX.length))) continue;
      const there = name.endsWith(ENDING) ? await stat(path.join(this.#folder, name)).catch(() => null) : null;
      if (there?.isFile() === true)
        found.push({ name, size: there.size + (await sizeOf(codeOf(path.join(this.#folder, name)))), usedAt: there.mtimeMs });
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
    const size = await this.#take(PREPARED, workerFolder, path.join(this.#folder, name), this.#bytesOfOneMax);
    if (size > 0) this.#held.set(name, size);
    await this.#keepWithin();
  }

  /** Takes the machine code that the worker handed in, of a module that is here, in place of what there was, if it did. */
  async keepCode(module: KnownModule, workerFolder: string): Promise<void> {
    const name = nameOf(module);
    if (!this.#held.has(name)) return;
    const file = path.join(this.#folder, name);
    await this.#take(CODE, workerFolder, codeOf(file), Math.min(CODE_BYTES_MAX, this.#bytesOfOneMax));
    this.#held.set(name, (await sizeOf(file)) + (await sizeOf(codeOf(file))));
    await this.#keepWithin();
  }

  /** Whole, or not at all: 0 where it is empty or larger. */
  async #take(handedIn: HandedIn, workerFolder: string, file: string, bytesMax: number): Promise<number> {
    const part = `${file}.${randomUUID()}.part`;
    try {
      const size = await copyGuestFile(handedIn, workerFolder, part, bytesMax + 1);
      if (size === 0 || size > bytesMax) return 0;
      await rename(part, file);
      return size;
    } finally {
      await rm(part, { force: true });
    }
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
    const file = path.join(this.#folder, name);
    for (const each of [file, codeOf(file)]) await rm(each, { force: true });
  }

  /** Lets go of all of them. */
  async makeRoom(): Promise<void> {
    for (const name of [...this.#held.keys()]) await this.#letGo(name);
  }
}

/** In pieces: a large module would fill the daemon's memory. Returns how many bytes there are. */
async function copyGuestFile(name: HandedIn, workerFolder: string, to: string, bytesMax: number): Promise<number> {
  const file = await open(to, "wx", 0o600);
  let size = 0;
  try {
    for await (const piece of guestFilePieces(workerFolder, name, bytesMax)) {
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
