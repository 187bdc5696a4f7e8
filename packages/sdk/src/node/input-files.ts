/** What a job finds in /in: a folder of this machine, files that stand nowhere, or both. Who controls the inputs: whoever runs this. */
import path from "node:path";
import { AbortedError, InputError } from "../errors.ts";
import { entriesIn } from "../facade/input-entries.ts";
import type { FileContent } from "../facade/run-input.ts";
import type { Blob, SourceEntry } from "../blob.ts";
import type { Reading } from "../given-bytes.ts";
import { blobAt, readTree } from "../tree.ts";

const fileAt = (file: string, reading: Reading): Promise<Blob> =>
  blobAt(file, path.basename(file), reading).catch((cause: unknown) => {
    if (cause instanceof AbortedError) throw cause;
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new InputError(`files: ${file} cannot be read (${why})`, { cause });
  });

/** As a tree, folders first. */
export const entriesOf = (files: Readonly<Record<string, FileContent>>, reading: Reading = {}): Promise<SourceEntry[]> =>
  entriesIn(files, (file) => fileAt(file, reading));

interface Inputs {
  in?: string | undefined;
  files?: readonly SourceEntry[] | undefined;
}

/** Both together; null where there is neither. */
export async function inputsOf({ in: folder, files = [] }: Inputs, reading: Reading = {}): Promise<SourceEntry[] | null> {
  if (folder === undefined && files.length === 0) return null;
  const found = folder === undefined ? [] : await readTree(folder, reading);
  const known = new Map(found.map((entry) => [entry.path, entry.kind]));
  for (const { path: at, kind } of files) {
    const there = known.get(at);
    if (there !== undefined && (there !== "directory" || kind !== "directory"))
      throw new InputError(`files: ${at} lies in ${folder ?? ""} already`);
  }
  return [...found, ...files.filter((each) => !known.has(each.path))];
}
