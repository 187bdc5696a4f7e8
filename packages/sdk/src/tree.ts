/** Folders of this machine as trees that travel. Who controls the inputs: whoever runs this. */
import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { lstat, open, readdir, readlink, stat } from "node:fs/promises";
import path from "node:path";
import { JOB_LIMITS } from "@xenoservers/protocol";

export interface Blob {
  digest: string;
  size: number;
  read(offset: number, length: number): Promise<Uint8Array>;
}
export type SourceEntry =
  | { path: string; kind: "file"; blob: Blob }
  | { path: string; kind: "directory" }
  | { path: string; kind: "link"; target: string };

export function bytesBlob(bytes: Uint8Array): Blob {
  return {
    digest: createHash("sha256").update(bytes).digest("hex"),
    size: bytes.length,
    read: async (offset, length) => bytes.subarray(offset, offset + length),
  };
}

export const readAt =
  (file: string, size: number): Blob["read"] =>
  async (offset, length) => {
    const handle = await open(file, "r");
    try {
      const bytes = new Uint8Array(Math.min(length, Math.max(0, size - offset)));
      const { bytesRead } = await handle.read(bytes, 0, bytes.length, offset);
      return bytes.subarray(0, bytesRead);
    } finally {
      await handle.close();
    }
  };

export async function fileBlob(file: string): Promise<Blob> {
  const { size } = await stat(file);
  const hash = createHash("sha256");
  for await (const chunk of createReadStream(file)) hash.update(chunk);
  return {
    digest: hash.digest("hex"),
    size,
    read: readAt(file, size),
  };
}

/** What stands for bytes that are no text. */
const NO_TEXT = "\ufffd";

/** A folder's content, sorted; links are kept as links. Throws, in words, for what cannot travel. */
export async function readTree(folder: string): Promise<SourceEntry[]> {
  const entries: SourceEntry[] = [];
  async function mustBeText(name: string, file: string): Promise<void> {
    if (name.includes(NO_TEXT) && !(await lstat(file).catch(() => null)))
      throw new Error(`the name of ${file} is no text in UTF-8; it cannot travel`);
  }
  const walk = async (below: string): Promise<void> => {
    const names = await readdir(path.join(folder, below), { withFileTypes: true }).catch((cause: unknown) => {
      throw new Error(`cannot read the folder ${path.join(folder, below)}`, { cause });
    });
    for (const entry of names.sort((a, b) => (a.name < b.name ? -1 : 1))) {
      const at = below === "" ? entry.name : `${below}/${entry.name}`;
      if (entries.length >= JOB_LIMITS.entries)
        throw new Error(`${folder} holds more than ${JOB_LIMITS.entries} files, folders and links; pack them into an archive`);
      await mustBeText(entry.name, path.join(folder, at));
      if (entry.isDirectory()) {
        entries.push({ path: at, kind: "directory" });
        await walk(at);
      } else if (entry.isSymbolicLink()) entries.push({ path: at, kind: "link", target: await readlink(path.join(folder, at)) });
      else if (entry.isFile()) entries.push({ path: at, kind: "file", blob: await fileBlob(path.join(folder, at)) });
      else throw new Error(`${path.join(folder, at)} is neither a file, a folder nor a link; it cannot travel`);
    }
  };
  await walk("");
  return entries;
}
