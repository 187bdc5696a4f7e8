/** What a job finds in /in: a folder of this machine, files that stand nowhere, or both. Who controls the inputs: whoever runs this. */
import { InputError } from "../errors.ts";
import { entriesIn } from "../facade/input-entries.ts";
import type { FileContent } from "../facade/run-input.ts";
import type { Blob, SourceEntry } from "../blob.ts";
import { fileBlob, readTree } from "../tree.ts";

const fileAt = (file: string): Promise<Blob> =>
  fileBlob(file).catch((cause: unknown) => {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new InputError(`files: ${file} cannot be read (${why})`, { cause });
  });

/** As a tree, folders first. */
export const entriesOf = (files: Readonly<Record<string, FileContent>>): Promise<SourceEntry[]> => entriesIn(files, fileAt);

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
