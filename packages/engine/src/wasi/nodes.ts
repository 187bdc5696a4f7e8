/** What a file system is made of. */
import type { FileBytes } from "./file-bytes.ts";
import { NODE_BYTES, TEXT_COST, fileCapacity } from "./limits.ts";
import type { Measured } from "./names.ts";

interface Common {
  ino: bigint;
  /** Names of it in the tree. */
  links: number;
  /** Descriptors that hold it. */
  opens: number;
  atimeNs: bigint;
  mtimeNs: bigint;
  ctimeNs: bigint;
}
export interface FileNode extends Common, FileBytes {
  kind: "file";
  /** Changes with every change of its bytes. */
  version: number;
}
export interface DirectoryNode extends Common {
  kind: "directory";
  entries: Map<string, Node>;
  parent: DirectoryNode | null;
  /** What its own name takes. */
  name: Omit<Measured, "text">;
  /** Inherited by everything below: a write anywhere in it is refused. */
  readOnly: boolean;
  /** Made for a mount, not by the job: it takes nothing from the disk. */
  own: boolean;
}
export interface LinkNode extends Common {
  kind: "link";
  target: Measured;
}
export type Node = FileNode | DirectoryNode | LinkNode;

/** Of the disk, without its names. */
export function costOf(node: Node): number {
  if (node.kind === "file") return NODE_BYTES + fileCapacity(node.size);
  if (node.kind === "link") return NODE_BYTES + TEXT_COST * node.target.bytes;
  return node.own ? 0 : NODE_BYTES;
}
