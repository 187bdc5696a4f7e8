/**
 * From a path the guest names to a place in the tree: relative to a preopened directory, never above it, symbolic links followed inside it
 * only (WASI preview 1's sandboxing rules; after CloudABI).
 */
import { WasiError } from "./abi.ts";
import { LINKS_FOLLOWED_MAX, NAME_BYTES_MAX } from "./limits.ts";
import { utf8Length } from "./names.ts";
import type { DirectoryNode, Node } from "./nodes.ts";

export interface Place {
  parent: DirectoryNode;
  /** The last part; "." for the base itself. */
  name: string;
  node: Node | null;
  /** The path ended with a slash: only a directory will do. */
  mustBeDirectory: boolean;
  /** It ended with "." or "..": a folder, and no name that could be made, taken away or given to another; null: with a name. */
  dots: string | null;
  /** Parts that were looked at. */
  steps: number;
}

/** A unit of a string is three bytes at most. */
const isTooLong = (name: string): boolean => name.length * 3 > NAME_BYTES_MAX && utf8Length(name) > NAME_BYTES_MAX;

/**
 * Whether the last part is followed where it is a link. Behind a slash it is, but by what takes a name away: that is the link's own, and
 * no folder's.
 */
export type Follow = boolean | "never";

/** Resolves `path` below `base`. */
export function resolve(base: DirectoryNode, path: string, follow: Follow): Place {
  if (path === "") throw new WasiError("NOENT");
  if (path.startsWith("/")) throw new WasiError("PERM");
  if (path.includes("\0")) throw new WasiError("ILSEQ");
  const dots = /(?:^|\/)(\.{1,2})\/*$/.exec(path)?.[1] ?? null;
  let links = 0;
  let steps = 0;
  const stack: DirectoryNode[] = [base];
  let mustBeDirectory = /(^|\/)\.{0,2}$/.test(path) && path !== "";
  const parts = path.split("/").filter((part) => part !== "" && part !== ".");

  while (parts.length > 0) {
    const part = parts.shift()!;
    steps++;
    const directory = stack.at(-1)!;
    if (part === "..") {
      if (stack.length === 1) throw new WasiError("PERM");
      stack.pop();
      continue;
    }
    if (isTooLong(part)) throw new WasiError("NAMETOOLONG");
    const node = directory.entries.get(part) ?? null;
    const last = parts.length === 0;
    if (node?.kind === "link" && (!last || follow === true || dots !== null || (mustBeDirectory && follow !== "never"))) {
      if (++links > LINKS_FOLLOWED_MAX) throw new WasiError("LOOP");
      const { text } = node.target;
      if (text.startsWith("/")) throw new WasiError("PERM");
      if (last && /(^|\/)\.{0,2}$/.test(text)) mustBeDirectory = true;
      parts.unshift(...text.split("/").filter((piece) => piece !== "" && piece !== "."));
      continue;
    }
    if (last) {
      if (mustBeDirectory && node && node.kind !== "directory") throw new WasiError("NOTDIR");
      return { parent: directory, name: part, node, mustBeDirectory, dots, steps };
    }
    if (!node) throw new WasiError("NOENT");
    if (node.kind !== "directory") throw new WasiError("NOTDIR");
    stack.push(node);
  }
  const directory = stack.at(-1)!;
  return { parent: directory, name: ".", node: directory, mustBeDirectory: true, dots, steps };
}

export function mustExist(place: Place): Node {
  if (!place.node) throw new WasiError("NOENT");
  return place.node;
}
