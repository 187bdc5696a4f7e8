/**
 * What the name of a layer's entry says: a path, that something below is hidden (image-spec, layer.md), or nothing. Who controls the
 * inputs: the customer, every name.
 */
import { shown } from "@xenoservers/protocol/archive";
import { Refusal } from "../refusal.ts";

const WHITEOUT = ".wh.";
const OPAQUE = ".wh..wh..opq";
/** Under such names AUFS keeps notes of its own in the root. */
const AUFS = ".wh..wh.";
/** There it keeps files that have several names; its hard links lead there. */
const AUFS_LINKED = ".wh..wh.plnk";
const NAME_BYTES_MAX = 255;
export const PATH_BYTES_MAX = 4_095;

const wrong = (why: string): Refusal => new Refusal("bytes", why);

/** An entry's name as plain parts from the root on. Throws Refusal where it leads outside. */
export function partsOf(name: string): string[] {
  const parts: string[] = [];
  for (const part of name.split("/")) {
    if (part === "" || part === ".") continue;
    if (part !== "..") parts.push(part);
    else if (parts.pop() === undefined) throw wrong(`a layer holds the path ${shown(name)}, which leads outside`);
  }
  // what is hidden may have a name as long as any; its whiteout is no file
  const more = isWhiteout(parts) ? WHITEOUT.length : 0;
  const last = parts.length - 1;
  if (
    name.length > PATH_BYTES_MAX + more ||
    name.includes("\0") ||
    parts.some((part, i) => part.length > NAME_BYTES_MAX + (i === last ? more : 0))
  )
    throw wrong(`a layer holds a name that is longer than file systems have, or no name: ${shown(name)}`);
  return parts;
}

export const isWhiteout = (parts: readonly string[]): boolean => parts.at(-1)?.startsWith(WHITEOUT) === true;

/** The name that a whiteout hides in its folder; null: all of them. Throws Refusal where it is the folder itself, or outside of it. */
export function hiddenBy(parts: readonly string[]): string | null {
  const last = parts.at(-1) ?? "";
  if (last === OPAQUE) return null;
  const name = last.slice(WHITEOUT.length);
  if (["", ".", ".."].includes(name)) throw wrong(`a layer holds ${shown(parts.join("/"))}, which hides no file that has a name`);
  return name;
}

/** Of what AUFS notes down for itself, which is nothing of the image. */
export const isNote = (parts: readonly string[]): boolean =>
  parts[0]?.startsWith(AUFS) === true && !(parts.length === 1 && parts[0] === OPAQUE);

/** By which name AUFS's hard links know a file; null where it is none of those. */
export const linkedName = (parts: readonly string[]): string | null =>
  parts.length > 1 && parts[0] === AUFS_LINKED ? (parts.at(-1) ?? null) : null;
