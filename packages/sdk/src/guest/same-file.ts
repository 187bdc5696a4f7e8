/** Files that a guest says are one, by several names (hard links). Who controls the inputs: the guest, who harms its own files alone. */
import type { GuestEntry } from "./files.ts";

/** Null of one that has no other name. Of the same file size and time are the same, too. */
export const fileOf = ({ which, size, mtime }: GuestEntry): string | null => (which === "" ? null : [which, size, mtime].join(" "));

interface Firsts {
  firsts: GuestEntry[];
  /** Each with the first of its file. */
  more: { entry: GuestEntry; first: string }[];
}

/** Files to copy, and other names of theirs. */
export function firstsOf(files: readonly GuestEntry[]): Firsts {
  const first = new Map<string, string>();
  const found: Firsts = { firsts: [], more: [] };
  for (const entry of files) {
    const file = fileOf(entry);
    const before = file === null ? undefined : first.get(file);
    if (before !== undefined) found.more.push({ entry, first: before });
    else found.firsts.push(entry);
    if (file !== null && before === undefined) first.set(file, entry.path);
  }
  return found;
}
