/** Files that a program hands in for /in, by name. Who controls the inputs: the program that calls. */
import { bytesBlob, type Blob, type SourceEntry } from "../blob.ts";
import { InputError } from "../errors.ts";
import { bytesOf } from "./given-program.ts";
import type { FileContent } from "./run-input.ts";

/** A file of this machine. */
type FileAt = (path: string) => Promise<Blob>;

const MOUNT = "/in/";

function nameOf(typed: string): string {
  const name = typed.startsWith(MOUNT) ? typed.slice(MOUNT.length) : typed;
  const parts = name.split("/");
  if (name === "" || name.includes("\0") || parts.some((part) => part === "" || part === "." || part === ".."))
    throw new InputError(`files: '${typed}' is no name below /in: write data.csv, sub/data.csv or /in/data.csv`);
  return name;
}

const foldersAbove = (name: string): string[] => name.split("/").flatMap((_, i, parts) => (i === 0 ? [] : parts.slice(0, i).join("/")));

async function blobOf(content: FileContent, fileAt: FileAt): Promise<Blob> {
  return typeof content === "string" || content instanceof Uint8Array ? bytesBlob(bytesOf(content)) : fileAt(content.path);
}

/** As a tree, folders first. Throws InputError. */
export async function entriesIn(files: Readonly<Record<string, FileContent>>, fileAt: FileAt): Promise<SourceEntry[]> {
  const named = new Map<string, Blob>();
  for (const [typed, content] of Object.entries(files)) {
    const name = nameOf(typed);
    if (named.has(name)) throw new InputError(`files: ${name} stands there twice`);
    named.set(name, await blobOf(content, fileAt));
  }
  const folders = new Set([...named.keys()].flatMap(foldersAbove));
  const both = [...folders].find((folder) => named.has(folder));
  if (both !== undefined) throw new InputError(`files: ${both} is a file and a folder`);
  return [
    ...[...folders].map((name): SourceEntry => ({ path: name, kind: "directory" })),
    ...[...named].map(([name, blob]): SourceEntry => ({ path: name, kind: "file", blob })),
  ];
}
