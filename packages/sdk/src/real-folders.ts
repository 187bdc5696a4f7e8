/** Folders below one folder, entered name by name and never through a link: a path that is reached so lies where it says. */
import { existsSync } from "node:fs";
import { constants, lstat, open, type FileHandle } from "node:fs/promises";
import path from "node:path";
import { kernelPath } from "./kernel-path.ts";
import { parentOf } from "./tree-plan.ts";

/** Where the system has it, a name is looked up in the open folder itself, whatever its path leads to by then. */
const BY_HANDLE = process.platform === "linux" && existsSync("/proc/self/fd");
const FOLDER = constants.O_RDONLY | (constants.O_DIRECTORY ?? 0) | (constants.O_NOFOLLOW ?? 0);

export class RealFolders {
  readonly #folder: string;
  #at = "";
  #handle: FileHandle | null;
  readonly #held = new Set<Promise<unknown>>();

  private constructor(folder: string, handle: FileHandle | null) {
    this.#folder = folder;
    this.#handle = handle;
  }

  /** The folder itself may be reached through links: whoever runs this named it. */
  static async open(folder: string): Promise<RealFolders> {
    return new RealFolders(folder, await RealFolders.#root(folder));
  }

  static async #root(folder: string): Promise<FileHandle | null> {
    return BY_HANDLE ? open(kernelPath(folder), constants.O_RDONLY | constants.O_DIRECTORY) : null;
  }

  /** A path of `at` for the kernel's next call (kernelPath). Throws where a folder on the way is missing (ENOENT), or is none. */
  async reach(at: string): Promise<string> {
    await this.#enter(parentOf(at));
    return this.#handle ? `/proc/self/fd/${this.#handle.fd}/${path.basename(at)}` : path.join(this.#folder, at);
  }

  /** The folder that was reached stays open until the work in it is done, whoever reaches another meanwhile. */
  during<T>(work: Promise<T>): Promise<T> {
    const held = work.catch(() => {}).finally(() => this.#held.delete(held));
    this.#held.add(held);
    return work;
  }

  async #enter(parent: string): Promise<void> {
    if (this.#at !== "" && parent !== this.#at && !parent.startsWith(`${this.#at}/`))
      await this.#replace(await RealFolders.#root(this.#folder), "");
    for (const name of parent
      .slice(this.#at.length)
      .split("/")
      .filter((each) => each !== "")) {
      const next = this.#at === "" ? name : `${this.#at}/${name}`;
      await this.#replace(this.#handle ? await this.#below(this.#handle, name, next) : await this.#look(next), next);
    }
  }

  async #below({ fd }: FileHandle, name: string, at: string): Promise<FileHandle> {
    return open(kernelPath(`/proc/self/fd/${fd}/${name}`), FOLDER).catch((error: NodeJS.ErrnoException) => {
      throw error.code === "ENOTDIR" || error.code === "ELOOP" ? this.#noFolder(at, error) : error;
    });
  }

  async #look(at: string): Promise<null> {
    if (!(await lstat(kernelPath(path.join(this.#folder, at)))).isDirectory()) throw this.#noFolder(at);
    return null;
  }

  #noFolder(at: string, cause?: unknown): Error {
    return new Error(`the result wants to write through ${path.join(this.#folder, at)}, which is no folder`, { cause });
  }

  async #replace(handle: FileHandle | null, at: string): Promise<void> {
    const before = this.#handle;
    this.#handle = handle;
    this.#at = at;
    await Promise.all(this.#held);
    await before?.close();
  }

  async close(): Promise<void> {
    await this.#replace(null, "");
  }
}
