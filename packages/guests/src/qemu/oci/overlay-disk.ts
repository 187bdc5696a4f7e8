/**
 * What one read-only disk of an overlay holds: everything that changed in a tree since its last group of layers, with whiteouts and
 * opaque folders as overlayfs has them (kernel Documentation/filesystems/overlayfs), in a folder that is the layer's root. The same changes
 * give the same archive. Who controls the inputs: the customer.
 */
import { createHash } from "node:crypto";
import type { FileHandle } from "node:fs/promises";
import { LISTED, isAccessList, onDisk } from "./access-lists.ts";
import type { ImageTree, Inode, Place } from "./image-tree.ts";
import { STEP_COUNT } from "./in-steps.ts";
import { TAR_END, padding, tarHeader, type TarHeader } from "@xenoservers/protocol/archive/write";

/** Something that stands in the disk. */
interface Item {
  /** Empty for the root. */
  path: string;
  /** Null for a whiteout. */
  inode: Inode | null;
  /** Where its file was written before. */
  link: string | null;
  isOpaque: boolean;
}

export interface DiskContent {
  /** Of everything that the disk will hold. */
  digest: string;
  /** None where nothing changed. */
  items: Item[];
  /** Indexes of the layers from which data comes. */
  layers: Set<number>;
}

const TYPES: Record<Inode["kind"], TarHeader["type"]> = { file: "0", symlink: "2", character: "3", block: "4", directory: "5", fifo: "6" };
const OPAQUE = ["trusted.overlay.opaque", "y"] as const;
/** The disk's folder that holds all: `sqfstar` gives the disk's own root the owner and time of whoever runs it. */
export const ROOT = "root";
const inRoot = (path: string): string => (path === "" ? ROOT : `${ROOT}/${path}`);

const byName = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);

/** What a folder had below it, and has no more. */
function* hidden(place: Place, path: string, group: number): Generator<Item> {
  if (place.goneIn !== group) return;
  for (const name of [...place.gone.keys()].sort(byName))
    if (!place.children?.has(name)) yield { path: `${path}${name}`, inode: null, link: null, isOpaque: false };
}

const wasFolder = ({ name, parent, born }: Place, group: number): boolean =>
  born === group && parent !== null && parent.goneIn === group && parent.gone.get(name) === true;

/** Folders before what they hold; files in the order in which their data lies in the layers. In steps. */
export function* contentOf(tree: ImageTree, layerDigests: readonly string[]): Generator<void, DiskContent> {
  const group = tree.groupNow;
  const items: Item[] = [];
  const files: Item[] = [];
  const folders: { place: Place; path: string }[] = tree.root.changed === group ? [{ place: tree.root, path: "" }] : [];
  let steps = 0;
  for (let next = folders.pop(); next; next = folders.pop()) {
    const { place, path } = next;
    items.push({ path: path.slice(0, -1), inode: place.inode, link: null, isOpaque: wasFolder(place, group) });
    items.push(...hidden(place, path, group));
    const below: { place: Place; path: string }[] = [];
    for (const child of [...(place.children?.values() ?? [])].sort((a, b) => byName(a.name, b.name))) {
      if (child.changed !== group) continue;
      if (child.children) below.push({ place: child, path: `${path}${child.name}/` });
      else files.push({ path: `${path}${child.name}`, inode: child.inode, link: null, isOpaque: false });
      if (++steps % STEP_COUNT === 0) yield;
    }
    if (++steps % STEP_COUNT === 0) yield;
    folders.push(...below.reverse());
  }
  yield* inOrder(files);
  const written = new Map<Inode, string>();
  for (const item of files) {
    const { path, inode } = item;
    items.push(item);
    if (!inode?.places) continue;
    item.link = written.get(inode) ?? null;
    if (item.link === null) written.set(inode, path);
  }
  return yield* finished(items, layerDigests);
}

/** As their data lies, and otherwise as they come. Sorted by numbers alone, for sorting a million names takes seconds. */
function* inOrder(files: Item[]): Generator<void> {
  const places = new Map<number, Map<number, Item[]>>();
  for (const [i, item] of files.entries()) {
    const { layer = 0, pieces = [] } = item.inode ?? {};
    const from = pieces[0]?.from ?? 0;
    const own = places.get(layer) ?? new Map<number, Item[]>();
    places.set(layer, own);
    const there = own.get(from);
    if (there) there.push(item);
    else own.set(from, [item]);
    if (i % STEP_COUNT === 0) yield;
  }
  let at = 0;
  for (const layer of [...places.keys()].sort((a, b) => a - b)) {
    const own = places.get(layer) ?? new Map<number, Item[]>();
    for (const from of Float64Array.from(own.keys()).sort())
      for (const item of own.get(from) ?? []) {
        files[at++] = item;
        if (at % STEP_COUNT === 0) yield;
      }
  }
}

function* finished(items: Item[], layerDigests: readonly string[]): Generator<void, DiskContent> {
  const hash = createHash("sha256").update(ROOT);
  const layers = new Set<number>();
  for (const [i, { path, inode, link, isOpaque }] of items.entries()) {
    if (i % STEP_COUNT === 0) yield;
    hash.update(JSON.stringify([path, link, isOpaque]));
    if (!inode || link !== null) continue;
    const { kind, mode, uid, gid, mtime, xattrs, target, major, minor, size, layer, pieces } = inode;
    hash.update(JSON.stringify([kind, mode, uid, gid, mtime, xattrs, target, major, minor, size]));
    if (pieces.length === 0) continue;
    layers.add(layer);
    hash.update(JSON.stringify([layerDigests[layer], pieces.map(({ at, from, length }) => [at, from, length])]));
  }
  return { digest: hash.digest("hex"), items, layers };
}

function headerOf({ path, inode, link, isOpaque }: Item): Buffer {
  const none = { mode: 0, uid: 0, gid: 0, mtime: 0, target: "", major: 0, minor: 0, size: 0, xattrs: [] };
  const name = inRoot(path);
  if (!inode) return tarHeader({ ...none, name, type: "3" });
  if (link !== null) return tarHeader({ ...none, name, type: "1", target: inRoot(link) });
  const { kind, mode, uid, gid, mtime, target, major, minor, size } = inode;
  const own = inode.xattrs.map(([key, value]) => [onDisk(key), value] as const);
  const xattrs = isOpaque ? [...own, OPAQUE] : own;
  return tarHeader({ name, type: TYPES[kind], mode, uid, gid, mtime, target, major, minor, size, xattrs });
}

/** The file that names those with access lists, each with a zero byte behind it; empty where there are none. */
function listOf(items: readonly Item[]): Buffer {
  const has = ({ inode }: Item): boolean => inode?.xattrs.some(([name]) => isAccessList(name)) === true;
  const bytes = Buffer.from(
    items
      .filter(has)
      .map(({ path }) => `/${path}\0`)
      .join(""),
    "latin1",
  );
  if (bytes.length === 0) return bytes;
  const none = { uid: 0, gid: 0, mtime: 0, target: "", major: 0, minor: 0, xattrs: [] };
  const header = tarHeader({ ...none, name: LISTED, type: "0", mode: 0o400, size: bytes.length });
  return Buffer.concat([header, bytes, Buffer.alloc(padding(bytes.length))]);
}

const CHUNK_BYTES = 1024 * 1024;

/** Reads pieces that mostly follow each other. */
class Source {
  readonly #file: FileHandle;
  #start = 0;
  #bytes: Buffer = Buffer.alloc(0);

  constructor(file: FileHandle) {
    this.#file = file;
  }

  /** Up to `length` bytes from there on, at least one. */
  async some(offset: number, length: number): Promise<Buffer> {
    const from = offset - this.#start;
    if (from < 0 || from >= this.#bytes.length) {
      const bytes = Buffer.alloc(CHUNK_BYTES);
      const { bytesRead } = await this.#file.read(bytes, 0, CHUNK_BYTES, offset);
      if (bytesRead === 0) throw new Error("an archive became shorter while it was read");
      this.#start = offset;
      this.#bytes = bytes.subarray(0, bytesRead);
      return this.#bytes.subarray(0, length);
    }
    return this.#bytes.subarray(from, from + length);
  }
}

const ZEROS = Buffer.alloc(64 * 1024);

function* zeros(count: number): Generator<Buffer> {
  for (let left = count; left > 0; left -= ZEROS.length) yield ZEROS.subarray(0, left);
}

async function* dataOf({ size, pieces }: Inode, source: Source | undefined): AsyncGenerator<Buffer> {
  let at = 0;
  for (const piece of pieces) {
    if (!source) throw new Error("the archive of a layer is not open");
    yield* zeros(piece.at - at);
    for (let done = 0; done < piece.length;) {
      const part = await source.some(piece.from + done, piece.length - done);
      yield part;
      done += part.length;
    }
    at = piece.at + piece.length;
  }
  yield* zeros(size - at + padding(size));
}

/** The disk's content as an archive, in pieces of a good size. `open`: the layers' archives by index. */
export async function* archiveOf({ items }: DiskContent, open: ReadonlyMap<number, FileHandle>): AsyncGenerator<Buffer> {
  const sources = new Map([...open].map(([layer, file]) => [layer, new Source(file)]));
  let parts: Buffer[] = [];
  let bytes = 0;
  const take = (part: Buffer): boolean => {
    parts.push(part);
    bytes += part.length;
    return bytes >= CHUNK_BYTES;
  };
  const taken = (): Buffer => {
    const all = Buffer.concat(parts);
    parts = [];
    bytes = 0;
    return all;
  };
  for (const item of items) {
    const { inode, link } = item;
    if (take(headerOf(item))) yield taken();
    if (!inode || link !== null || inode.size === 0) continue;
    for await (const part of dataOf(inode, sources.get(inode.layer))) if (take(part)) yield taken();
  }
  if (take(listOf(items))) yield taken();
  take(TAR_END);
  yield taken();
}
