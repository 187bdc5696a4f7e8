/**
 * The table of open files: what each descriptor is, where it stands, and which rights it carries (rights only ever shrink). What a
 * descriptor holds is told to the file system, for it counts as long as it is held.
 */
import { DIRECTORY_RIGHTS, FILETYPE, FILE_RIGHTS, STDIN_RIGHTS, STDOUT_RIGHTS, WasiError, withoutWriting } from "./abi.ts";
import { DESCRIPTORS_MAX, LISTED_BYTES, LISTINGS_BYTES_MAX } from "./limits.ts";
import { utf8Length } from "./names.ts";
import type { DirectoryNode, FileNode, Node } from "./nodes.ts";

export interface Listed {
  name: string;
  ino: bigint;
  type: number;
}

interface Common {
  rights: bigint;
  inheriting: bigint;
  flags: number;
}
interface OpenFile extends Common {
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
  listing: readonly Listed[] | null;
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

/** Whoever counts what is held. */
interface Holder {
  opened(node: Node): void;
  closed(node: Node): void;
}

const listingBytes = (listing: readonly Listed[] | null): number =>
  listing?.reduce((sum, { name }) => sum + LISTED_BYTES + utf8Length(name), 0) ?? 0;
const held = (descriptor: Descriptor): Node | null =>
  descriptor.kind === "file" || descriptor.kind === "directory" ? descriptor.node : null;

export class Descriptors {
  readonly #table = new Map<number, Descriptor>();
  readonly #holder: Holder;
  #listedBytes = 0;

  constructor(holder: Holder) {
    this.#holder = holder;
  }

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

  /** Of a guest that goes on from a breakpoint; its nodes count already as held. */
  place(fd: number, descriptor: Descriptor): void {
    this.#table.set(fd, descriptor);
    if (descriptor.kind === "directory") this.#listedBytes += listingBytes(descriptor.listing);
  }

  assertRoom(): void {
    if (this.#table.size >= DESCRIPTORS_MAX) throw new WasiError("MFILE");
  }

  /** Takes the lowest free number. */
  add(descriptor: Descriptor): number {
    this.assertRoom();
    let fd = 3;
    while (this.#table.has(fd)) fd++;
    this.#table.set(fd, descriptor);
    const node = held(descriptor);
    if (node) this.#holder.opened(node);
    return fd;
  }

  /** What the guest reads a folder from, in place of what it read from before. */
  keepListing(directory: OpenDirectory, listing: readonly Listed[]): void {
    const more = listingBytes(listing) - listingBytes(directory.listing);
    if (this.#listedBytes + more > LISTINGS_BYTES_MAX) throw new WasiError("NOMEM");
    this.#listedBytes += more;
    directory.listing = listing;
  }

  get(fd: number, rights: bigint): Descriptor {
    const descriptor = this.#table.get(fd);
    if (!descriptor) throw new WasiError("BADF");
    if ((descriptor.rights & rights) !== rights) throw new WasiError("NOTCAPABLE");
    return descriptor;
  }

  /** A stream is told that it has no place in it before it is told that it has no right to it. */
  file(fd: number, rights: bigint): OpenFile {
    const { kind } = this.get(fd, 0n);
    if (kind === "input" || kind === "output") throw new WasiError("SPIPE");
    const descriptor = this.get(fd, rights);
    if (descriptor.kind !== "file") throw new WasiError("ISDIR");
    return descriptor;
  }

  directory(fd: number, rights: bigint): OpenDirectory {
    const found = this.#table.get(fd);
    if (!found) throw new WasiError("BADF");
    if (found.kind !== "directory") throw new WasiError("NOTDIR");
    return this.get(fd, rights) as OpenDirectory;
  }

  close(fd: number): void {
    const descriptor = this.#table.get(fd);
    if (!descriptor) throw new WasiError("BADF");
    this.#table.delete(fd);
    const node = held(descriptor);
    if (node) this.#holder.closed(node);
    if (descriptor.kind === "directory") this.#listedBytes -= listingBytes(descriptor.listing);
  }

  renumber(from: number, to: number): void {
    const descriptor = this.get(from, 0n);
    this.get(to, 0n);
    if (from === to) return;
    this.close(to);
    this.#table.set(to, descriptor);
    this.#table.delete(from);
  }
}

export function filetypeOf(descriptor: Descriptor): number {
  return descriptor.kind === "file" ? FILETYPE.REGULAR_FILE : descriptor.kind === "directory" ? FILETYPE.DIRECTORY : FILETYPE.UNKNOWN;
}
