/**
 * The guest's whole file system, in memory: an inode tree with a byte quota. It is made from a list of entries and can be listed again, which is
 * how inputs come in and outputs go out. Who controls the inputs: the customer (names, targets, contents), the guest (everything else).
 */
import { WasiError } from "./abi.ts";

interface Times {
  atimeNs: bigint;
  mtimeNs: bigint;
  ctimeNs: bigint;
}
interface Common extends Times {
  ino: bigint;
  links: number;
}
export interface FileNode extends Common {
  kind: "file";
  /** Capacity grows by doubling; `size` is what counts. */
  bytes: Uint8Array;
  size: number;
  /** Changes with every change of its bytes. */
  version: number;
}
export interface DirectoryNode extends Common {
  kind: "directory";
  entries: Map<string, Node>;
  parent: DirectoryNode | null;
  /** Inherited by everything below: a write anywhere in it is refused. */
  readOnly: boolean;
}
export interface LinkNode extends Common {
  kind: "link";
  target: string;
}
export type Node = FileNode | DirectoryNode | LinkNode;

/** One entry of a tree as it travels; paths are relative, without `.`, `..` or empty parts. */
export type TreeEntry =
  | { path: string; kind: "file"; bytes: Uint8Array }
  | { path: string; kind: "directory" }
  | { path: string; kind: "link"; target: string };

export interface FilesSnapshot {
  root: bigint;
  usedBytes: number;
  nextIno: bigint;
  nodes: ReadonlyMap<bigint, Node>;
}

const NAME_BYTES_MAX = 255;
/** Booked per inode, so that empty files cannot fill the memory. */
const INODE_BYTES = 512;

export const isEntryPath = (path: string): boolean =>
  path.length > 0 &&
  path.length <= 4096 &&
  !path.includes("\0") &&
  path.split("/").every((part) => part !== "" && part !== "." && part !== ".." && part.length <= NAME_BYTES_MAX);

export class FileSystem {
  readonly root: DirectoryNode;
  readonly #now: () => bigint;
  readonly #quotaBytes: number;
  /** The root directory is the engine's own and takes nothing from the quota. */
  #usedBytes = -INODE_BYTES;
  #nextIno = 1n;

  /** `snapshot`: of a guest that goes on from a checkpoint. */
  constructor(quotaBytes: number, nowNs: () => bigint, snapshot?: FilesSnapshot) {
    this.#quotaBytes = quotaBytes;
    this.#now = nowNs;
    this.root = snapshot
      ? (snapshot.nodes.get(snapshot.root) as DirectoryNode)
      : this.#node({ kind: "directory", entries: new Map(), parent: null, readOnly: false });
    if (!snapshot) return;
    this.#usedBytes = snapshot.usedBytes;
    this.#nextIno = snapshot.nextIno;
  }

  /** Everything that is reachable from the root or from `open`, by inode. */
  snapshot(open: readonly Node[]): FilesSnapshot {
    const nodes = new Map<bigint, Node>();
    const visit = (node: Node): void => {
      if (nodes.has(node.ino)) return;
      nodes.set(node.ino, node);
      if (node.kind !== "directory") return;
      if (node.parent) visit(node.parent);
      for (const child of node.entries.values()) visit(child);
    };
    for (const node of [this.root, ...open]) visit(node);
    return { root: this.root.ino, usedBytes: this.#usedBytes, nextIno: this.#nextIno, nodes };
  }

  #node<T extends object>(rest: T): T & Common {
    this.#book(INODE_BYTES);
    const now = this.#now();
    return { ino: this.#nextIno++, links: 1, atimeNs: now, mtimeNs: now, ctimeNs: now, ...rest };
  }

  #book(bytes: number): void {
    if (this.#usedBytes + bytes > this.#quotaBytes) throw new WasiError("NOSPC");
    this.#usedBytes += bytes;
  }

  get usedBytes(): number {
    return this.#usedBytes;
  }

  assertWritable(directory: DirectoryNode): void {
    for (let at: DirectoryNode | null = directory; at; at = at.parent) if (at.readOnly) throw new WasiError("ROFS");
  }

  makeDirectory(parent: DirectoryNode, name: string): DirectoryNode {
    const node = this.#node({ kind: "directory" as const, entries: new Map<string, Node>(), parent, readOnly: false });
    this.link(parent, name, node);
    return node;
  }

  makeFile(parent: DirectoryNode, name: string): FileNode {
    const node = this.#node({ kind: "file" as const, bytes: new Uint8Array(0), size: 0, version: 0 });
    this.link(parent, name, node);
    return node;
  }

  makeLink(parent: DirectoryNode, name: string, target: string): LinkNode {
    const node = this.#node({ kind: "link" as const, target });
    this.link(parent, name, node);
    return node;
  }

  link(parent: DirectoryNode, name: string, node: Node): void {
    this.assertWritable(parent);
    if (name === "" || name === "." || name === ".." || name.includes("/")) throw new WasiError("INVAL");
    if (name.length > NAME_BYTES_MAX) throw new WasiError("NAMETOOLONG");
    if (parent.entries.has(name)) throw new WasiError("EXIST");
    parent.entries.set(name, node);
    this.touch(parent);
  }

  unlink(parent: DirectoryNode, name: string): void {
    this.assertWritable(parent);
    const node = parent.entries.get(name);
    if (!node) throw new WasiError("NOENT");
    parent.entries.delete(name);
    this.touch(parent);
    node.links--;
    if (node.links === 0) this.#usedBytes -= INODE_BYTES + (node.kind === "file" ? node.bytes.length : 0);
  }

  touch(node: Node): void {
    node.mtimeNs = node.ctimeNs = this.#now();
  }

  read(node: FileNode, offset: number, into: Uint8Array): number {
    const part = node.bytes.subarray(offset, Math.min(node.size, offset + into.length));
    into.set(part);
    return part.length;
  }

  write(node: FileNode, offset: number, from: Uint8Array): number {
    if (from.length === 0) return 0;
    this.resize(node, Math.max(node.size, offset + from.length));
    node.bytes.set(from, offset);
    this.touch(node);
    return from.length;
  }

  /** Sets the size; new bytes are zero. */
  resize(node: FileNode, size: number): void {
    if (!Number.isSafeInteger(size) || size < 0) throw new WasiError("FBIG");
    node.version++;
    if (size > node.bytes.length) {
      const wanted = Math.max(size, Math.min(node.bytes.length * 2, node.bytes.length + 64 * 1024 * 1024));
      const room = this.#quotaBytes - this.#usedBytes + node.bytes.length;
      const capacity = size <= room ? Math.min(wanted, room) : size;
      if (node.links > 0) this.#book(capacity - node.bytes.length);
      const bytes = new Uint8Array(capacity);
      bytes.set(node.bytes.subarray(0, node.size));
      node.bytes = bytes;
    } else if (size < node.size) node.bytes.fill(0, size, node.size);
    node.size = size;
  }

  /** Puts a tree below a directory; missing parents are made. Throws WasiError for names that do not fit. */
  place(below: DirectoryNode, entries: Iterable<TreeEntry>): void {
    for (const entry of entries) {
      if (!isEntryPath(entry.path)) throw new WasiError("INVAL");
      const parts = entry.path.split("/");
      const name = parts.pop()!;
      const parent = this.directoryAt(below, parts);
      if (entry.kind === "directory") {
        if (!parent.entries.has(name)) this.makeDirectory(parent, name);
      } else if (entry.kind === "link") this.makeLink(parent, name, entry.target);
      else this.write(this.makeFile(parent, name), 0, entry.bytes);
    }
  }

  /** The directory at a path of plain names, made where it is missing. */
  directoryAt(below: DirectoryNode, parts: readonly string[]): DirectoryNode {
    let at = below;
    for (const part of parts) {
      const next = at.entries.get(part) ?? this.makeDirectory(at, part);
      if (next.kind !== "directory") throw new WasiError("NOTDIR");
      at = next;
    }
    return at;
  }

  /** Everything below a directory, sorted by path, parents first. */
  list(below: DirectoryNode, prefix = ""): TreeEntry[] {
    const all: TreeEntry[] = [];
    for (const name of [...below.entries.keys()].sort()) {
      const node = below.entries.get(name)!;
      const path = prefix + name;
      if (node.kind === "file") all.push({ path, kind: "file", bytes: node.bytes.subarray(0, node.size) });
      else if (node.kind === "link") all.push({ path, kind: "link", target: node.target });
      else all.push({ path, kind: "directory" }, ...this.list(node, `${path}/`));
    }
    return all;
  }
}
