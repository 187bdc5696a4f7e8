/** Trees as they travel, and walks over what stands in a file system. None of them recurses: a tree may be as deep as paths are long. */
import { chunksOf } from "./file-bytes.ts";
import { NAME_BYTES_MAX, PATH_BYTES_MAX } from "./limits.ts";
import { utf8Length } from "./names.ts";
import type { DirectoryNode, Node } from "./nodes.ts";

/**
 * One entry of a tree; paths are relative, without `.`, `..` or empty parts. A file's bytes come piece by piece, each valid until the
 * next is asked for.
 */
export type TreeEntry =
  | { path: string; kind: "file"; size: number; chunks(): Iterable<Uint8Array> }
  | { path: string; kind: "directory" }
  | { path: string; kind: "link"; target: string };

export const fileEntry = (path: string, bytes: Uint8Array): TreeEntry => ({
  path,
  kind: "file",
  size: bytes.length,
  chunks: () => [bytes],
});

export const isEntryPath = (path: string): boolean =>
  path.isWellFormed() &&
  utf8Length(path) < PATH_BYTES_MAX &&
  !path.includes("\0") &&
  path.split("/").every((part) => part !== "" && part !== "." && part !== ".." && utf8Length(part) <= NAME_BYTES_MAX);

const sortedNames = ({ entries }: DirectoryNode): string[] => [...entries.keys()].sort();

function leftOf(path: string, node: Node): TreeEntry {
  if (node.kind === "file") return { path, kind: "file", size: node.size, chunks: () => chunksOf(node) };
  return node.kind === "link" ? { path, kind: "link", target: node.target.text } : { path, kind: "directory" };
}

/** Everything below a directory, parents first, each folder's names in order. */
export function* listed(under: DirectoryNode): Generator<TreeEntry> {
  const open = [{ prefix: "", directory: under, names: sortedNames(under), next: 0 }];
  for (let at = open.at(-1); at; at = open.at(-1)) {
    const name = at.names[at.next++];
    if (name === undefined) {
      open.pop();
      continue;
    }
    const node = at.directory.entries.get(name)!;
    const path = at.prefix + name;
    yield leftOf(path, node);
    if (node.kind === "directory") open.push({ prefix: `${path}/`, directory: node, names: sortedNames(node), next: 0 });
  }
}

/** How many entries lie below a directory, and how many bytes the longest of their paths adds to its own. */
export function below(under: DirectoryNode): { count: number; reach: number } {
  let count = 0;
  let reach = 0;
  const open = [{ directory: under, bytes: 0 }];
  for (let at = open.pop(); at; at = open.pop()) {
    for (const [name, node] of at.directory.entries) {
      count++;
      const bytes = at.bytes + 1 + utf8Length(name);
      if (bytes > reach) reach = bytes;
      if (node.kind === "directory") open.push({ directory: node, bytes });
    }
  }
  return { count, reach };
}

/** The directory at a path of plain names; null where there is none. */
export function directoryAt(root: DirectoryNode, parts: readonly string[]): DirectoryNode | null {
  let at = root;
  for (const part of parts) {
    const next = at.entries.get(part);
    if (next?.kind !== "directory") return null;
    at = next;
  }
  return at;
}
