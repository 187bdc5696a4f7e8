/** Where two trees are not the same, entry by entry and field by field. */
import type { Line } from "./trees.ts";

const FIELDS = ["kind", "mode", "owner", "mtime", "size", "content", "target", "device", "xattrs", "same"] as const;

const shown = (value: Line[(typeof FIELDS)[number]]): string => (typeof value === "object" ? JSON.stringify(value) : String(value));

/**
 * `PATH FIELD: ours, theirs` each. `since`: when theirs was begun; a time of a folder after that is the time of unpacking, which nobody
 * stated.
 */
export function differences(ours: readonly Line[], theirs: readonly Line[], since: number): string[] {
  const found: string[] = [];
  const other = new Map(theirs.map((line) => [line.path, line]));
  for (const line of ours) {
    const peer = other.get(line.path);
    other.delete(line.path);
    if (!peer) found.push(`${line.path}: ours alone`);
    else
      for (const field of FIELDS) {
        if (field === "mtime" && peer.kind === "directory" && peer.mtime >= since) continue;
        const [a, b] = [shown(line[field]), shown(peer[field])];
        if (a !== b) found.push(`${line.path} ${field}: ${a}, ${b}`);
      }
  }
  for (const path of other.keys()) found.push(`${path}: theirs alone`);
  return found;
}
