/** The files of a folder and those below it, as they lie there: no link is followed. */
import { lstat, readdir } from "node:fs/promises";
import path from "node:path";
import { ifThere } from "@xenoservers/protocol/files";

interface FileBelow {
  file: string;
  bytes: number;
  /** When it was written, or marked as used. */
  at: number;
}

/** None where there is no such folder. */
export async function filesBelow(folder: string): Promise<FileBelow[]> {
  const entries = (await ifThere(readdir(folder, { withFileTypes: true, recursive: true }))) ?? [];
  const files: FileBelow[] = [];
  for (const entry of entries) {
    if (!entry.isFile()) continue;
    const file = path.join(entry.parentPath, entry.name);
    // what another program removed meanwhile takes no room
    const found = await ifThere(lstat(file));
    if (found) files.push({ file, bytes: found.size, at: found.mtimeMs });
  }
  return files;
}
