/** The table of open files: what each descriptor is, where it stands, and which rights it carries (rights only ever shrink). */
import { DIRECTORY_RIGHTS, FILETYPE, FILE_RIGHTS, STDIN_RIGHTS, STDOUT_RIGHTS, WasiError, withoutWriting } from "./abi.ts";
import type { DirectoryNode, FileNode } from "./file-system.ts";

interface Common {
  rights: bigint;
  inheriting: bigint;
  flags: number;
}
export interface OpenFile extends Common {
  kind: "file";
  node: FileNode;
  offset: number;
}
export interface OpenDirectory extends Common {
  kind: "directory";
  node: DirectoryNode;
  /** The guest's path of a preopened directory. */
  preopen: string | null;
  /** The listing as it stood when reading began at cookie 0. */
  listing: { name: string; ino: bigint; type: number }[] | null;
}
export interface Input extends Common {
  kind: "input";
  bytes: Uint8Array;
  offset: number;
}
export interface Output extends Common {
  kind: "output";
  stream: "stdout" | "stderr";
  write(bytes: Uint8Array): void;
}
export type Descriptor = OpenFile | OpenDirectory | Input | Output;

const DESCRIPTORS_MAX = 4096;

export class Descriptors {
  readonly #table = new Map<number, Descriptor>();

  addStandard(stdin: Uint8Array, stdout: (bytes: Uint8Array) => void, stderr: (bytes: Uint8Array) => void): void {
    this.#table.set(0, { kind: "input", bytes: stdin, offset: 0, rights: STDIN_RIGHTS, inheriting: 0n, flags: 0 });
    this.#table.set(1, { kind: "output", stream: "stdout", write: stdout, rights: STDOUT_RIGHTS, inheriting: 0n, flags: 0 });
    this.#table.set(2, { kind: "output", stream: "stderr", write: stderr, rights: STDOUT_RIGHTS, inheriting: 0n, flags: 0 });
  }

  addPreopen(path: string, node: DirectoryNode, writable: boolean): void {
    const all = DIRECTORY_RIGHTS | FILE_RIGHTS;
    const [rights, inheriting] = writable ? [DIRECTORY_RIGHTS, all] : [withoutWriting(DIRECTORY_RIGHTS), withoutWriting(all)];
    this.add({ kind: "directory", node, preopen: path, listing: null, rights, inheriting, flags: 0 });
  }

  /** What is open, by number. */
  entries(): IterableIterator<[number, Descriptor]> {
    return this.#table.entries();
  }

  /** Of a guest that goes on from a checkpoint. */
  place(fd: number, descriptor: Descriptor): void {
    this.#table.set(fd, descriptor);
  }

  /** Takes the lowest free number. */
  add(descriptor: Descriptor): number {
    if (this.#table.size >= DESCRIPTORS_MAX) throw new WasiError("MFILE");
    let fd = 3;
    while (this.#table.has(fd)) fd++;
    this.#table.set(fd, descriptor);
    return fd;
  }

  get(fd: number, rights: bigint): Descriptor {
    const descriptor = this.#table.get(fd);
    if (!descriptor) throw new WasiError("BADF");
    if ((descriptor.rights & rights) !== rights) throw new WasiError("NOTCAPABLE");
    return descriptor;
  }

  file(fd: number, rights: bigint): OpenFile {
    const descriptor = this.get(fd, rights);
    if (descriptor.kind === "directory") throw new WasiError("ISDIR");
    if (descriptor.kind !== "file") throw new WasiError("SPIPE");
    return descriptor;
  }

  directory(fd: number, rights: bigint): OpenDirectory {
    const found = this.#table.get(fd);
    if (!found) throw new WasiError("BADF");
    if (found.kind !== "directory") throw new WasiError("NOTDIR");
    return this.get(fd, rights) as OpenDirectory;
  }

  close(fd: number): void {
    if (!this.#table.delete(fd)) throw new WasiError("BADF");
  }

  renumber(from: number, to: number): void {
    const descriptor = this.get(from, 0n);
    this.get(to, 0n);
    if (from === to) return;
    this.#table.set(to, descriptor);
    this.#table.delete(from);
  }
}

export function filetypeOf(descriptor: Descriptor): number {
  return descriptor.kind === "file" ? FILETYPE.REGULAR_FILE : descriptor.kind === "directory" ? FILETYPE.DIRECTORY : FILETYPE.CHARACTER_DEVICE;
}
