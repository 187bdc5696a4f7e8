/**
 * The guest's whole file system, in memory: an inode tree with the limits of limits.ts. It is made from a list of entries and can be
 * listed again, which is how inputs come in and outputs go out. A call that is refused has changed nothing. Who controls the inputs: the
 * customer (names, targets, contents), the guest (everything else).
 */
import { WasiError } from "./abi.ts";
import { readBytes, setSize, writeBytes } from "./file-bytes.ts";
import {
  ENTRIES_MAX,
  ENTRY_BYTES,
  FILE_BYTES_MAX,
  HARD_LINKS_MAX,
  NAME_BYTES_MAX,
  NODE_BYTES,
  PATH_BYTES_MAX,
  TARGET_BYTES_MAX,
  TEXT_COST,
  TREE_BYTES_MAX,
  TREE_ENTRY_BYTES,
  fileCapacity,
  sizeWithin,
} from "./limits.ts";
import { measure, type Measured } from "./names.ts";
import { costOf, type DirectoryNode, type FileNode, type LinkNode, type Node } from "./nodes.ts";
import { below, isEntryPath, type TreeEntry } from "./tree.ts";

/** What a file system holds, of each of its limits. */
export interface Totals {
  usedBytes: number;
  entries: number;
  treeBytes: number;
}
interface FilesSnapshot extends Totals {
  root: DirectoryNode;
  nextIno: bigint;
}

type Size = Omit<Measured, "text">;
const NOTHING: Size = { bytes: 0, escaped: 0 };
const nameCost = ({ bytes }: Size): number => ENTRY_BYTES + TEXT_COST * bytes;

/** What an entry takes of the listed tree besides the path of its folder. */
export const listedCost = (name: Size, node: Node | null): number =>
  TREE_ENTRY_BYTES + name.escaped + (node?.kind === "link" ? node.target.escaped : 0);

export class FileSystem {
  readonly root: DirectoryNode;
  readonly #now: () => bigint;
  readonly #quotaBytes: number;
  readonly #totals: Totals = { usedBytes: 0, entries: 0, treeBytes: 0 };
  #nextIno = 1n;

  /** `snapshot`: of a guest that goes on from a breakpoint. */
  constructor(quotaBytes: number, nowNs: () => bigint, snapshot?: FilesSnapshot) {
    this.#quotaBytes = quotaBytes;
    this.#now = nowNs;
    this.root = snapshot?.root ?? this.#directory(null, NOTHING, true);
    if (!snapshot) return;
    const { usedBytes, entries, treeBytes } = snapshot;
    this.#totals = { usedBytes, entries, treeBytes };
    this.#nextIno = snapshot.nextIno;
  }

  get totals(): Readonly<Totals> {
    return this.#totals;
  }

  get nextIno(): bigint {
    return this.#nextIno;
  }

  #common() {
    const now = this.#now();
    return { ino: this.#nextIno++, links: 1, opens: 0, atimeNs: now, mtimeNs: now, ctimeNs: now };
  }

  #directory(parent: DirectoryNode | null, name: Size, own: boolean): DirectoryNode {
    const { bytes, escaped } = name;
    return { ...this.#common(), kind: "directory", entries: new Map(), parent, name: { bytes, escaped }, readOnly: false, own };
  }

  #assertRoom(bytes: number): void {
    if (bytes > 0 && this.#totals.usedBytes + bytes > this.#quotaBytes) throw new WasiError("NOSPC");
  }

  /** The path of what lies in a folder, up to its name; refuses a folder that must not be written to, or is in no tree any more. */
  #above(directory: DirectoryNode): Size {
    if (directory.links === 0) throw new WasiError("NOENT");
    let bytes = 1;
    let escaped = 0;
    for (let at: DirectoryNode | null = directory; at; at = at.parent) {
      if (at.readOnly) throw new WasiError("ROFS");
      if (!at.parent) break;
      bytes += at.name.bytes + 1;
      escaped += at.name.escaped + 1;
    }
    return { bytes, escaped };
  }

  assertWritable(directory: DirectoryNode): void {
    for (let at: DirectoryNode | null = directory; at; at = at.parent) if (at.readOnly) throw new WasiError("ROFS");
  }

  /** Whether a name may be given in a folder; what it, and its path, take. */
  #mayEnter(parent: DirectoryNode, text: string): { name: Measured; above: Size } {
    if (text === "" || text === "." || text === ".." || text.includes("/")) throw new WasiError("INVAL");
    const name = measure(text);
    if (name.bytes > NAME_BYTES_MAX) throw new WasiError("NAMETOOLONG");
    const above = this.#above(parent);
    if (above.bytes + name.bytes > PATH_BYTES_MAX) throw new WasiError("NAMETOOLONG");
    return { name, above };
  }

  /** Puts a node, which is not in the tree yet or is a file with other names, under a name. `bytes`: what comes new with it. */
  #enter(parent: DirectoryNode, text: string, bytes: number, target: number, make: (name: Measured) => Node): void {
    const { name, above } = this.#mayEnter(parent, text);
    if (parent.entries.has(text)) throw new WasiError("EXIST");
    const totals = this.#totals;
    const listed = above.escaped + listedCost(name, null) + target;
    if (totals.entries >= ENTRIES_MAX || totals.treeBytes + listed > TREE_BYTES_MAX) throw new WasiError("NOSPC");
    this.#assertRoom(bytes + nameCost(name));
    const node = make(name);
    totals.usedBytes += bytes + nameCost(name);
    totals.entries++;
    totals.treeBytes += listed;
    parent.entries.set(name.text, node);
    this.touch(parent);
  }

  makeDirectory(parent: DirectoryNode, name: string): DirectoryNode {
    let made: DirectoryNode | null = null;
    this.#enter(parent, name, NODE_BYTES, 0, (size) => (made = this.#directory(parent, size, false)));
    return made!;
  }

  makeFile(parent: DirectoryNode, name: string): FileNode {
    let made: FileNode | null = null;
    this.#enter(parent, name, NODE_BYTES, 0, () => (made = { ...this.#common(), kind: "file", chunks: [], size: 0, version: 0 }));
    return made!;
  }

  makeLink(parent: DirectoryNode, name: string, text: string): LinkNode {
    if (text === "") throw new WasiError("NOENT");
    if (text.includes("\0")) throw new WasiError("ILSEQ");
    const target = measure(text);
    if (target.bytes > TARGET_BYTES_MAX) throw new WasiError("NAMETOOLONG");
    let made: LinkNode | null = null;
    this.#enter(
      parent,
      name,
      NODE_BYTES + TEXT_COST * target.bytes,
      target.escaped,
      () => (made = { ...this.#common(), kind: "link", target }),
    );
    return made!;
  }

  /** Another name for what is there. */
  link(parent: DirectoryNode, name: string, node: FileNode | LinkNode): void {
    if (node.links >= HARD_LINKS_MAX) throw new WasiError("MLINK");
    if (node.links === 0) throw new WasiError("NOENT"); // held open alone
    this.#enter(parent, name, 0, node.kind === "link" ? node.target.escaped : 0, () => node);
    node.links++;
  }

  unlink(parent: DirectoryNode, text: string): void {
    const above = this.#above(parent);
    const node = parent.entries.get(text);
    if (!node) throw new WasiError("NOENT");
    const name = measure(text);
    parent.entries.delete(text);
    this.touch(parent);
    const totals = this.#totals;
    totals.usedBytes -= nameCost(name);
    totals.entries--;
    totals.treeBytes -= above.escaped + listedCost(name, node);
    node.links--;
    if (node.links > 0) return;
    if (node.kind === "directory") node.parent = null;
    if (node.opens > 0) totals.entries++;
    else totals.usedBytes -= costOf(node);
  }

  /** A descriptor holds it. */
  opened(node: Node): void {
    node.opens++;
  }

  /** A descriptor let go of it; what has no name either is gone. */
  closed(node: Node): void {
    node.opens--;
    if (node.opens > 0 || node.links > 0) return;
    this.#totals.entries--;
    this.#totals.usedBytes -= costOf(node);
  }

  /**
   * Gives an entry another name and folder, in place of what is there. The caller has seen to it that the kinds agree and no folder comes
   * to lie in itself. Returns how many entries it had to look at.
   */
  move(from: { parent: DirectoryNode; name: string }, to: { parent: DirectoryNode; name: string }): number {
    const before = this.#above(from.parent);
    const { name, above } = this.#mayEnter(to.parent, to.name);
    const node = from.parent.entries.get(from.name);
    if (!node) throw new WasiError("NOENT");
    const replaced = to.parent.entries.get(to.name) ?? null;
    const old = measure(from.name);
    const { count, reach } = node.kind === "directory" ? below(node) : { count: 0, reach: 0 };
    if (above.bytes + name.bytes + reach > PATH_BYTES_MAX) throw new WasiError("NAMETOOLONG");
    const longer = (above.escaped + name.escaped - before.escaped - old.escaped) * (count + 1);
    const gone = replaced ? above.escaped + listedCost(name, replaced) : 0;
    if (this.#totals.treeBytes + longer - gone > TREE_BYTES_MAX) throw new WasiError("NOSPC");
    const freed = replaced ? nameCost(name) + (replaced.links === 1 && replaced.opens === 0 ? costOf(replaced) : 0) : 0;
    this.#assertRoom(nameCost(name) - nameCost(old) - freed);
    if (replaced) this.unlink(to.parent, to.name);
    from.parent.entries.delete(from.name);
    to.parent.entries.set(name.text, node);
    this.#totals.usedBytes += nameCost(name) - nameCost(old);
    this.#totals.treeBytes += longer;
    if (node.kind === "directory") {
      node.parent = to.parent;
      node.name = { bytes: name.bytes, escaped: name.escaped };
    }
    this.touch(to.parent);
    this.touch(from.parent);
    return count;
  }

  touch(node: Node): void {
    node.mtimeNs = node.ctimeNs = this.#now();
  }

  read(node: FileNode, offset: number, into: Uint8Array): number {
    return readBytes(node, offset, into);
  }

  /** Writes as much as there is room for; refuses where that is nothing. */
  write(node: FileNode, offset: number, from: Uint8Array): number {
    if (from.length === 0) return 0;
    if (offset >= FILE_BYTES_MAX) throw new WasiError("FBIG");
    const end = Math.min(offset + from.length, FILE_BYTES_MAX);
    const reached = end <= node.size ? end : Math.max(node.size, Math.min(end, this.#sizeMax(node)));
    if (reached <= offset) throw new WasiError("NOSPC");
    const part = reached - offset < from.length ? from.subarray(0, reached - offset) : from;
    if (reached > node.size) this.resize(node, reached);
    else node.version++;
    writeBytes(node, offset, part);
    this.touch(node);
    return part.length;
  }

  /** What a file can grow to. */
  #sizeMax(node: FileNode): number {
    return sizeWithin(this.#quotaBytes - this.#totals.usedBytes + fileCapacity(node.size));
  }

  /** Sets the size; new bytes are zero. */
  resize(node: FileNode, size: number): void {
    if (size > FILE_BYTES_MAX) throw new WasiError("FBIG");
    const more = fileCapacity(size) - fileCapacity(node.size);
    this.#assertRoom(more);
    setSize(node, size);
    node.version++;
    this.#totals.usedBytes += more;
  }

  /** The folder at a mount's path, made where it is missing: the engine's own. */
  mountAt(parts: readonly string[]): DirectoryNode {
    let at = this.root;
    for (const part of parts) {
      const found = at.entries.get(part);
      if (found && found.kind !== "directory") throw new WasiError("NOTDIR");
      at = found ?? this.#ownDirectory(at, part);
    }
    return at;
  }

  #ownDirectory(parent: DirectoryNode, text: string): DirectoryNode {
    const { name, above } = this.#mayEnter(parent, text);
    if (this.#totals.entries >= ENTRIES_MAX) throw new WasiError("NOSPC");
    const made = this.#directory(parent, name, true);
    parent.entries.set(name.text, made);
    this.#totals.entries++;
    this.#totals.treeBytes += above.escaped + listedCost(name, null);
    this.touch(parent);
    return made;
  }

  /** Puts a tree below a directory; missing parents are made. Throws WasiError for what does not fit. */
  place(under: DirectoryNode, entries: Iterable<TreeEntry>): void {
    for (const entry of entries) {
      if (!isEntryPath(entry.path)) throw new WasiError("INVAL");
      const parts = entry.path.split("/");
      const name = parts.pop()!;
      const parent = this.#directoryAt(under, parts);
      if (entry.kind === "directory") {
        const there = parent.entries.get(name);
        if (there && there.kind !== "directory") throw new WasiError("EXIST");
        if (!there) this.makeDirectory(parent, name);
      } else if (entry.kind === "link") this.makeLink(parent, name, entry.target);
      else this.#fill(this.makeFile(parent, name), entry);
    }
  }

  /** Throws WasiError where the bytes that come are not as many as were said. */
  #fill(node: FileNode, { size, chunks }: Extract<TreeEntry, { kind: "file" }>): void {
    this.resize(node, size);
    let at = 0;
    for (const chunk of chunks()) {
      if (at + chunk.length > size) throw new WasiError("IO");
      writeBytes(node, at, chunk);
      at += chunk.length;
    }
    if (at < size) throw new WasiError("IO");
  }

  #directoryAt(under: DirectoryNode, parts: readonly string[]): DirectoryNode {
    let at = under;
    for (const part of parts) {
      const next = at.entries.get(part) ?? this.makeDirectory(at, part);
      if (next.kind !== "directory") throw new WasiError("NOTDIR");
      at = next;
    }
    return at;
  }
}
