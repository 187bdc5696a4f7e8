/**
 * Customers' modules as the engine made them, so that a known job starts without being rewritten and waiting workers can compile it
 * ahead. Kept by customer and digest: what a guest process leaves here counts for its own customer only, as does everything else that it
 * says. One customer has a quarter of the room. Workers get copies.
 */
import { mkdir, rename, rm, writeFile } from "node:fs/promises";
import path from "node:path";
import { readGuestFile } from "./guest-files.ts";
import { WORKER_FILES } from "./worker/job.ts";

const MODULES_MAX = 32;
const MODULES_OF_ONE_MAX = 8;
const MODULE_BYTES_MAX = 32 * 1024 * 1024;

interface KnownModule {
  customer: string;
  digest: string;
}

const ofCustomer = ({ customer }: KnownModule): string => `${customer}-`;
const nameOf = (module: KnownModule): string => `${ofCustomer(module)}${module.digest}.wasm`;

export class ModuleCache {
  readonly #folder: string;
  /** File names, least recently used first. */
  readonly #held = new Set<string>();

  constructor(folder: string) {
    this.#folder = folder;
  }

  /** Begins empty: what an earlier daemon kept is made anew when it is needed. */
  async open(): Promise<void> {
    await rm(this.#folder, { recursive: true, force: true });
    await mkdir(this.#folder, { recursive: true, mode: 0o700 });
  }

  /** The file with the prepared module; null when it is not here. */
  find(module: KnownModule): string | null {
    const name = nameOf(module);
    if (!this.#held.delete(name)) return null;
    this.#held.add(name);
    return path.join(this.#folder, name);
  }

  /** Takes what the worker left in its folder. Idempotent. */
  async keep(module: KnownModule, workerFolder: string): Promise<void> {
    const name = nameOf(module);
    if (this.#held.has(name)) return;
    const bytes = await readGuestFile(workerFolder, WORKER_FILES.prepared, 0, MODULE_BYTES_MAX + 1);
    if (bytes.length === 0 || bytes.length > MODULE_BYTES_MAX) return;
    const file = path.join(this.#folder, name);
    try {
      await writeFile(`${file}.part`, bytes, { mode: 0o600 });
      await rename(`${file}.part`, file);
    } catch (error) {
      await rm(`${file}.part`, { force: true });
      throw error;
    }
    this.#held.add(name);
    const own = [...this.#held].filter((each) => each.startsWith(ofCustomer(module)));
    const [oldest] = own.length > MODULES_OF_ONE_MAX ? own : this.#held.size > MODULES_MAX ? this.#held : [];
    if (oldest !== undefined) await this.#letGo(oldest);
  }

  async #letGo(name: string): Promise<void> {
    this.#held.delete(name);
    await rm(path.join(this.#folder, name), { force: true });
  }

  /** Lets go of all of them. */
  async makeRoom(): Promise<void> {
    for (const name of [...this.#held]) await this.#letGo(name);
  }
}
