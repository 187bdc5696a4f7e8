/**
 * The tree that an image's layers make, one applied after the other as container engines do it (OCI image spec, layer.md; containerd
 * archive/tar.go): whiteouts hide what lower layers have and nothing else, a path through a link leads where the link does, never out of
 * the image, folders that a layer does not list keep what they are, hard links may lead into lower layers. What changed since `group()`
 * is what an overlay disk must hold. Who controls the inputs: the customer, every entry.
 */
import { shown, type Piece, type TarEntry } from "@xenoservers/protocol/archive";
import { Refusal } from "../refusal.ts";
import { kept } from "./attributes.ts";
import { PATH_BYTES_MAX, hiddenBy, isNote, isWhiteout, linkedName, partsOf } from "./entry-names.ts";
import { LED_MAX, MADE_MAX, RESTATED_MAX, TEXT_BYTES_MAX } from "./image-bounds.ts";
import { STEP_COUNT } from "./in-steps.ts";

export interface Inode {
  kind: Exclude<TarEntry["kind"], "link">;
  mode: number;
  uid: number;
  gid: number;
  mtime: number;
  xattrs: TarEntry["xattrs"];
  target: string;
  major: number;
  minor: number;
  size: number;
  /** Where a file's data lies. */
  layer: number;
  pieces: Piece[];
  /** Where it stands, once that is in more than one place; some may be gone. And the last group in which it got another. */
  places: Place[] | null;
  linkedIn: number;
}

/** A name in a folder. */
export interface Place {
  readonly name: string;
  readonly parent: Place | null;
  inode: Inode;
  /** The group of layers that brought it, and the last that changed it or anything below. */
  born: number;
  changed: number;
  children: Map<string, Place> | null;
  /** Names that lower groups have and this one (`goneIn`) does not have any more, or has anew; whether they were folders. */
  gone: Map<string, boolean>;
  goneIn: number;
}

/** Of what most entries have none of; one for all. */
const NONE: never[] = [];
/** As the kernel follows (path_resolution(7)). */
const LINKS_MAX = 40;
const ID_MAX = 2 ** 32 - 2;
/** Of the disk's file system; and up to which container engines take a time for one: beyond they write 1970. */
const TIME_MAX = 2 ** 32 - 1;
const TIME_SANE_MAX = 9_223_372_036;
const MAJOR_MAX = 4_095;
const MINOR_MAX = 1_048_575;

const wrong = (why: string): Refusal => new Refusal("bytes", why);

/** What says something, in steps; with its number. */
function* each(entries: () => Iterable<TarEntry>, take: (parts: string[], entry: TarEntry, at: number) => void): Generator<void> {
  let at = 0;
  for (const entry of entries()) {
    const parts = partsOf(entry.name);
    if (!isNote(parts) || (entry.kind === "file" && linkedName(parts) !== null)) take(parts, entry, at);
    if (++at % STEP_COUNT === 0) yield;
  }
}

const newFolder = (): Inode => ({
  ...{
    kind: "directory",
    mode: 0o755,
    uid: 0,
    gid: 0,
    mtime: 0,
    xattrs: [],
    target: "",
    major: 0,
    minor: 0,
    size: 0,
    layer: 0,
    pieces: [],
  },
  ...{ places: null, linkedIn: 0 },
});

type Stated = Pick<Inode, "mode" | "uid" | "gid" | "mtime" | "xattrs">;

function statedBy({ name, mode, uid, gid, mtime, xattrs }: TarEntry, kind: Inode["kind"]): Stated {
  if (uid < 0 || gid < 0 || uid > ID_MAX || gid > ID_MAX) throw wrong(`the owner of ${shown(name)} in a layer is none that a system knows`);
  return { mode, uid, gid, mtime: mtime > TIME_SANE_MAX ? 0 : Math.min(Math.max(0, mtime), TIME_MAX), xattrs: kept(xattrs, kind) };
}

function inodeOf(entry: TarEntry, layer: number): Inode {
  const { kind, name, target, major, minor, size, pieces } = entry;
  if (kind === "link") throw new Error("a hard link is no file of its own");
  if (kind === "symlink" && (target === "" || target.length > PATH_BYTES_MAX || target.includes("\0")))
    throw wrong(`the link ${shown(name)} in a layer leads to nothing that can be a path`);
  if (major < 0 || minor < 0 || major > MAJOR_MAX || minor > MINOR_MAX)
    throw wrong(`the device ${shown(name)} in a layer has a number that is none`);
  return {
    ...{ ...statedBy(entry, kind), kind, target, major, minor, size, layer },
    ...{ pieces: pieces.length === 0 ? NONE : pieces, places: null, linkedIn: 0 },
  };
}

/** A hard link says again what the file is, and engines take its word: mode, owner, time; attributes are joined. */
function restate(inode: Inode, entry: TarEntry): void {
  const { mode, xattrs, ...rest } = statedBy(entry, inode.kind);
  Object.assign(inode, rest, { mode: inode.kind === "symlink" ? inode.mode : mode });
  if (xattrs.length === 0) return;
  const added = new Set(xattrs.map(([name]) => name));
  inode.xattrs = kept([...inode.xattrs.filter(([name]) => !added.has(name)), ...xattrs], inode.kind);
}

export class ImageTree {
  readonly root: Place = {
    ...{ name: "", parent: null, inode: newFolder(), born: 0, changed: 0, children: new Map(), gone: new Map(), goneIn: 0 },
  };
  #group = 0;
  /** What the hard links of the layer that is being applied led to before it, by their numbers. */
  #before = new Map<number, Place | undefined>();
  /** The layer that is being applied, and what its hard links made. */
  #layer = 0;
  readonly #links = new Set<Place>();
  /** Files that AUFS keeps for the hard links of the layer that is being applied. */
  #linked = new Map<string, Inode>();
  /** Parts of links' targets that paths led through. */
  #led = 0;
  /** Of the folder that a path led to last: how long its own path is. */
  #length = 0;
  /** Folders that no layer lists; and the paths of all that was put anywhere, each as long as it is. */
  #made = 0;
  #restated = 0;
  #text = 0;

  get groupNow(): number {
    return this.#group;
  }

  /** From here on changes count anew; there is a root from the first group on. */
  group(): void {
    if (++this.#group === 1) this.#touch(this.root);
  }

  /** One layer on top of those before, in steps. `entries`: the same in the same order each time. */
  *applying(entries: () => Iterable<TarEntry>, layer: number): Generator<void> {
    const hides: string[][] = [];
    yield* each(entries, (parts) => void (isWhiteout(parts) && hides.push(parts)));
    if (hides.length > 0) {
      const above = new Set<string>();
      for (const [i, parts] of hides.entries()) {
        const link = this.#firstLink(parts);
        if (link !== null) above.add(link);
        if (i % STEP_COUNT === 0) yield;
      }
      const own = new Set<string>();
      yield* each(entries, (parts, entry, at) => {
        if (entry.kind === "directory" && above.has(parts.join("/"))) own.add(parts.join("/"));
        // an engine that goes through the archive in order may meet a link to a file before the whiteout that hides that one
        if (entry.kind === "link" && !isWhiteout(parts)) this.#before.set(at, this.#target(entry));
      });
      // whatever the order in the archive, whiteouts apply to lower layers alone
      for (const [i, parts] of hides.entries()) {
        this.#hide(parts, own);
        if (i % STEP_COUNT === 0) yield;
      }
    }
    this.#layer = layer;
    yield* each(entries, (parts, entry, at) => void (isWhiteout(parts) || this.#bring(parts, entry, layer, at)));
    this.#before.clear();
    this.#links.clear();
    this.#linked.clear();
  }

  /** The path of the first link on the way to something; null where there is none, or no way. */
  #firstLink(parts: readonly string[]): string | null {
    let at = this.root;
    for (const [i, part] of parts.slice(0, -1).entries()) {
      const next = at.children?.get(part);
      if (!next?.children) return next?.inode.kind === "symlink" ? parts.slice(0, i + 1).join("/") : null;
      at = next;
    }
    return null;
  }

  #hide(parts: string[], own: ReadonlySet<string>): void {
    const name = hiddenBy(parts);
    const path = parts.slice(0, -1);
    if (name === null && this.#isLink(path, own)) return; // podman looks for what to hide below the link, where nothing is
    const parent = this.#folder(path, false, own);
    if (!parent?.children) return;
    for (const each of name === null ? [...parent.children.keys()] : [name]) this.#remove(parent, each);
  }

  #isLink(path: readonly string[], own: ReadonlySet<string>): boolean {
    const there = this.#folder(path.slice(0, -1), false, own)?.children?.get(path.at(-1) ?? "");
    return there?.inode.kind === "symlink";
  }

  #bring(parts: string[], entry: TarEntry, layer: number, at: number): void {
    const name = parts.at(-1);
    const linked = linkedName(parts);
    if (linked !== null) return void this.#linked.set(linked, inodeOf(entry, layer));
    if (name === undefined) {
      if (entry.kind !== "directory") throw wrong("a layer makes the root something that is no folder");
      this.root.inode = inodeOf(entry, layer);
      return this.#touch(this.root);
    }
    const parent = this.#folder(parts.slice(0, -1), true);
    if (!parent) throw wrong(`a layer puts ${shown(entry.name)} below something that is no folder`);
    this.#count(this.#length + name.length + 1);
    const there = parent.children?.get(name);
    if (entry.kind === "link") return this.#link(parent, name, entry, at);
    // overlays take such a device for a whiteout, whoever made it
    if (entry.kind === "character" && entry.major === 0 && entry.minor === 0) return this.#remove(parent, name);
    const inode = inodeOf(entry, layer);
    if (there && there.children !== null && inode.kind === "directory") {
      there.inode = inode;
      return this.#touch(there);
    }
    this.#put(parent, name, inode);
  }

  /** What a hard link leads to. */
  #target({ target }: TarEntry): Place | undefined {
    const parts = partsOf(target);
    const last = parts.pop();
    return last === undefined ? undefined : this.#folder(parts, false)?.children?.get(last);
  }

  #link(parent: Place, name: string, entry: TarEntry, at: number): void {
    const { name: said, target } = entry;
    const linked = this.#linked.get(linkedName(partsOf(target)) ?? "");
    if (linked) return void this.#addName(linked, this.#put(parent, name, linked));
    const found = this.#target(entry) ?? this.#before.get(at);
    if (!found) throw wrong(`the hard link ${shown(said)} in a layer leads to ${shown(target)}, which is not in the image`);
    if (found.children) throw wrong(`the hard link ${shown(said)} in a layer leads to a folder`);
    if (parent.children?.get(name) === found) return; // GNU tar writes one where a file is named twice
    const { inode } = found;
    if (entry.xattrs.length > 0) this.#restated += inode.xattrs.length;
    if (this.#restated > RESTATED_MAX)
      throw new Refusal("limits", `the hard links of the layers state attributes of their files more than ${RESTATED_MAX} times`);
    restate(inode, entry);
    const place = this.#put(parent, name, inode);
    inode.places ??= [found];
    // a file of a lower disk gets no more names there: where it gets another, all that it has come along
    if (inode.linkedIn !== this.#group) for (const each of inode.places) if (isThere(each)) this.#touch(each);
    this.#addName(inode, place);
    this.#links.add(place);
  }

  /** Whether a layer below brought it. */
  #isLower(place: Place): boolean {
    return place.inode.layer !== this.#layer && !this.#links.has(place);
  }

  #addName(inode: Inode, place: Place): void {
    inode.linkedIn = this.#group;
    (inode.places ??= []).push(place);
  }

  #count(pathLength: number): void {
    this.#text += pathLength;
    if (this.#text > TEXT_BYTES_MAX) throw new Refusal("limits", `the paths of the image have more than ${TEXT_BYTES_MAX} bytes together`);
  }

  /** A folder that a path needs and that nobody lists. */
  #make(parent: Place, name: string, pathLength: number): Place {
    if (++this.#made > MADE_MAX)
      throw new Refusal("limits", `the paths of the layers need more than ${MADE_MAX} folders that no layer lists`);
    this.#count(pathLength);
    return this.#put(parent, name, newFolder());
  }

  #put(parent: Place, name: string, inode: Inode): Place {
    this.#remove(parent, name);
    const place: Place = {
      ...{
        name,
        parent,
        inode,
        born: this.#group,
        changed: 0,
        children: inode.kind === "directory" ? new Map() : null,
        gone: NOTHING_GONE,
        goneIn: 0,
      },
    };
    parent.children?.set(name, place);
    this.#touch(place);
    return place;
  }

  #remove(parent: Place, name: string): void {
    const there = parent.children?.get(name);
    if (!there) return;
    parent.children?.delete(name);
    if (there.born < this.#group) {
      if (parent.goneIn !== this.#group) parent.gone = new Map();
      parent.goneIn = this.#group;
      parent.gone.set(name, there.children !== null);
    }
    this.#touch(parent);
  }

  #touch(place: Place): void {
    for (let at: Place | null = place; at && at.changed !== this.#group; at = at.parent) at.changed = this.#group;
  }

  /**
   * The folder at a path, through links; null where there is none, or something else. `own`: folders that are no links, whatever lies
   * below.
   */
  #folder(path: readonly string[], make: boolean, own?: ReadonlySet<string>): Place | null {
    let at = this.root;
    const left = [...path].reverse();
    const literal: string[] = [];
    this.#length = 0;
    for (let links = 0, part = left.pop(); part !== undefined; part = left.pop()) {
      if (part === "..") {
        if (at.parent) this.#length -= at.name.length + 1;
        at = at.parent ?? at;
        continue;
      }
      literal.push(part);
      let next = at.children?.get(part);
      if (!next && make) next = this.#make(at, part, this.#length + part.length + 1);
      if (!next) return null;
      if (next.children) {
        at = next;
        this.#length += part.length + 1;
      } else if (next.inode.kind !== "symlink" || (links === 0 && own?.has(literal.join("/")))) {
        // an overlay shows the folder that a layer needs in place of what layers below have there
        if (!make || links > 0 || !this.#isLower(next)) return null;
        this.#length += part.length + 1;
        at = this.#make(at, part, this.#length);
      } else {
        if (++links > LINKS_MAX) throw wrong(`a layer holds a path that leads from link to link without end: ${shown(path.join("/"))}`);
        const { target } = next.inode;
        if (target.startsWith("/")) {
          at = this.root;
          this.#length = 0;
        }
        const through = target.split("/").filter((name) => name !== "" && name !== ".");
        this.#led += through.length + 1;
        if (this.#led > LED_MAX) throw wrong(`the paths of the layers lead through links too often: ${shown(path.join("/"))} is one`);
        left.push(...through.reverse());
      }
    }
    return at;
  }

  /** What stands at a plain path itself, links not followed. */
  find(path: string): Place | undefined {
    let at: Place | undefined = this.root;
    for (const part of partsOf(path)) at = at?.children?.get(part);
    return at;
  }

  leadsToFolder(path: string): boolean {
    return this.#folder(partsOf(path), false) !== null;
  }
}

const NOTHING_GONE: Map<string, boolean> = new Map();

/** Whether it can still be reached from the root. */
export function isThere(place: Place): boolean {
  let at = place;
  while (at.parent) {
    if (at.parent.children?.get(at.name) !== at) return false;
    at = at.parent;
  }
  return true;
}
