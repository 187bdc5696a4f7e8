/** What a job left, brought to folders of this machine. Who controls the inputs: a stranger's job and its server (tree and bytes). */
import type { InputEntry } from "@xenoservers/protocol/channel";
import type { TreeFile } from "../session/result.ts";
import { sentTarget } from "../tree-plan.ts";
import { writeTree } from "../write-tree.ts";
import type { SharedFolder } from "../machine/machine-place.ts";

const below = (tree: readonly InputEntry[], mount: string): InputEntry[] =>
  tree.filter((entry) => entry.path.startsWith(`${mount.slice(1)}/`)).map((entry) => ({ ...entry, path: entry.path.slice(mount.length) }));

interface Bringing {
  fetch(entry: TreeFile): Promise<Uint8Array>;
  /** Where what lies in /out comes to; null: nowhere. */
  out: string | null;
  shared: readonly SharedFolder[];
  /** Of what cannot be written here, and why. */
  leftOut(what: string): void;
}

/** Files that are not wanted here stay at the server for a while. */
export async function writeResults(tree: readonly InputEntry[], { fetch, out, shared, leftOut }: Bringing): Promise<void> {
  const told = (host: string, lines: readonly string[]): void => lines.forEach((why) => leftOut(`${sentTarget(host)}/${why}`));
  for (const { host, guest, before } of shared) told(host, await writeTree(host, below(tree, guest), { fetch, before }));
  if (out !== null) told(out, await writeTree(out, below(tree, "/out"), { fetch }));
}

export const filesIn = (tree: readonly InputEntry[]): number => below(tree, "/out").filter(({ kind }) => kind === "file").length;
