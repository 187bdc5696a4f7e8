/** From a path in the guest's memory to a place in the tree. */
import { LOOKUP_SYMLINK_FOLLOW, WasiError } from "./abi.ts";
import type { Host } from "./host.ts";
import { PATH_BYTES_MAX, workBytes } from "./limits.ts";
import { resolve, type Follow, type Place } from "./path.ts";

/** A path as a call takes it: pointer and length. */
type GuestPath = readonly [pointer: number, length: number];

/** The place of a path below the directory that is open as `fd` with these rights. */
export function lookup(
  host: Host,
  fd: number,
  rights: bigint,
  [pointer, length]: GuestPath,
  follow: Follow = false,
  shown = asItIs,
): Place {
  const { memory, descriptors } = host;
  const found = resolve(descriptors.directory(fd, rights).node, shown(memory.text(pointer, length, PATH_BYTES_MAX)), follow);
  memory.touched += workBytes(found.steps);
  return found;
}
const asItIs = (path: string): string => path;

export const follows = (flags: number): boolean => (flags & LOOKUP_SYMLINK_FOLLOW) !== 0;

/** The name of the place in its folder; the directory at which the path began has none there. */
export function named({ name }: Place): string {
  if (name === ".") throw new WasiError("INVAL");
  return name;
}
