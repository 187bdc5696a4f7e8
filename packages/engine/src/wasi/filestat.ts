/** What the guest reads and sets about a node: its kind, size and times, as a filestat. */
import { FILETYPE, FSTFLAGS, WasiError } from "./abi.ts";
import type { Host } from "./host.ts";
import type { Node } from "./nodes.ts";

export const nodeType = (node: Node): number =>
  node.kind === "file" ? FILETYPE.REGULAR_FILE : node.kind === "directory" ? FILETYPE.DIRECTORY : FILETYPE.SYMBOLIC_LINK;

/** Writes a filestat; `null` is a standard stream. */
export function setFilestat({ memory, layout }: Host, at: number, node: Node | null): void {
  const { filestatBytes, linksAt, linksBits } = layout;
  memory.bytes(at, filestatBytes).fill(0);
  memory.setU8(at + 16, node ? nodeType(node) : FILETYPE.UNKNOWN);
  const links = node?.links ?? 1;
  if (linksBits === 64) memory.setU64(at + linksAt, BigInt(links));
  else memory.setU32(at + linksAt, links);
  if (!node) return;
  memory.setU64(at + 8, node.ino);
  const sizeAt = at + filestatBytes - 32;
  memory.setU64(sizeAt, BigInt(node.kind === "file" ? node.size : node.kind === "link" ? node.target.bytes : 0));
  memory.setU64(sizeAt + 8, node.atimeNs);
  memory.setU64(sizeAt + 16, node.mtimeNs);
  memory.setU64(sizeAt + 24, node.ctimeNs);
}

export function setTimes({ clock }: Host, node: Node, atim: bigint, mtim: bigint, flags: number): void {
  const has = (flag: number): boolean => (flags & flag) !== 0;
  if ((has(FSTFLAGS.ATIM) && has(FSTFLAGS.ATIM_NOW)) || (has(FSTFLAGS.MTIM) && has(FSTFLAGS.MTIM_NOW))) throw new WasiError("INVAL");
  if (has(FSTFLAGS.ATIM)) node.atimeNs = BigInt.asUintN(64, atim);
  if (has(FSTFLAGS.ATIM_NOW)) node.atimeNs = clock.realtimeNs();
  if (has(FSTFLAGS.MTIM)) node.mtimeNs = BigInt.asUintN(64, mtim);
  if (has(FSTFLAGS.MTIM_NOW)) node.mtimeNs = clock.realtimeNs();
  node.ctimeNs = clock.realtimeNs();
}
