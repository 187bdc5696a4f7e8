/** What a job left in /out, in memory up to a bound. Who controls the inputs: a stranger's job and its server (names, sizes, bytes). */
import type { InputEntry } from "@xenoservers/protocol/channel";
import type { TreeFile } from "../session/result.ts";

const MOUNT = "out/";
/** Of all files of a job together; with more, none is held here. */
const HELD_BYTES_MAX = 64 * 1024 * 1024;

/** A file that a job left in /out. */
export interface JobFile {
  /** Below /out, as the job named it: a stranger's words, which `out` writes safely. */
  name: string;
  size: number;
  /** SHA-256, as the server signed it. */
  digest: string;
  /** Checked against the digest; null where it was written to a folder, or all files together are larger than 64 MiB. */
  bytes: Uint8Array | null;
}

const filesOf = (tree: readonly InputEntry[]): TreeFile[] =>
  tree.flatMap((entry) => (entry.kind === "file" && entry.path.startsWith(MOUNT) ? [entry] : []));

/** Without their bytes. */
export const listed = (tree: readonly InputEntry[]): JobFile[] =>
  filesOf(tree).map(({ path, size, digest }) => ({ name: path.slice(MOUNT.length), size, digest, bytes: null }));

/** With their bytes, where there is room for all of them. */
export async function collected(tree: readonly InputEntry[], fetch: (file: TreeFile) => Promise<Uint8Array>): Promise<JobFile[]> {
  const files = filesOf(tree);
  if (files.reduce((sum, { size }) => sum + size, 0) > HELD_BYTES_MAX) return listed(tree);
  const found: JobFile[] = [];
  for (const file of files)
    found.push({ name: file.path.slice(MOUNT.length), size: file.size, digest: file.digest, bytes: await fetch(file) });
  return found;
}
