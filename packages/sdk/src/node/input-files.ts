/** What a job finds in /in: a folder of this machine, files that stand nowhere, or both. Who controls the inputs: whoever runs this. */
import { InputError } from "../errors.ts";
import type { FileContent } from "../facade/run-input.ts";
import { bytesBlob, type Blob, type SourceEntry } from "../blob.ts";
import { fileBlob, readTree } from "../tree.ts";

const MOUNT = "/in/";

function nameOf(typed: string): string {
  const name = typed.startsWith(MOUNT) ? typed.slice(MOUNT.length) : typed;
  const parts = name.split("/");
  if (name === "" || name.includes("\0") || parts.some((part) => part === "" || part === "." || part === ".."))
    throw new InputError(`files: '${typed}' is no name below /in: write data.csv, sub/data.csv or /in/data.csv`);
  return name;
}

const foldersAbove = (name: string): string[] => name.split("/").flatMap((_, i, parts) => (i === 0 ? [] : parts.slice(0, i).join("/")));

async function blobOf(content: FileContent): Promise<Blob> {
  if (typeof content === "string") return bytesBlob(new TextEncoder().encode(content));
  if (content instanceof Uint8Array) return bytesBlob(content.slice()); // whoever gave it may change it while it is sent
  return fileBlob(content.path).catch((cause: unknown) => {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new InputError(`files: ${content.path} cannot be read (${why})`, { cause });
  });
}

/** As a tree, folders first. */
export async function entriesOf(files: Readonly<Record<string, FileContent>>): Promise<SourceEntry[]> {
  const named = new Map<string, Blob>();
  for (const [typed, content] of Object.entries(files)) {
    const name = nameOf(typed);
    if (named.has(name)) throw new InputError(`files: ${name} stands there twice`);
    named.set(name, await blobOf(content));
  }
  const folders = new Set([...named.keys()].flatMap(foldersAbove));
  const both = [...folders].find((folder) => named.has(folder));
  if (both !== undefined) throw new InputError(`files: ${both} is a file and a folder`);
  return [
    ...[...folders].map((name): SourceEntry => ({ path: name, kind: "directory" })),
    ...[...named].map(([name, blob]): SourceEntry => ({ path: name, kind: "file", blob })),
  ];
}

/** Both together; null where there is neither. */
export async function inputsOf({ in: folder, files = [] }: { in?: string | undefined; files?: readonly SourceEntry[] | undefined }) {
  if (folder === undefined && files.length === 0) return null;
  const found = folder === undefined ? [] : await readTree(folder);
  const known = new Map(found.map((entry) => [entry.path, entry.kind]));
  for (const { path, kind } of files) {
    const there = known.get(path);
    if (there !== undefined && (there !== "directory" || kind !== "directory"))
      throw new InputError(`files: ${path} lies in ${folder ?? ""} already`);
  }
  return [...found, ...files.filter(({ path }) => !known.has(path))];
}
