/**
 * What a guest hands back, from its archive to entries with files kept by digest. What cannot travel (devices, odd names) is left out;
 * what is more than a result may hold is refused as a whole. Who controls the inputs: the guest, every byte.
 */
import { createHash } from "node:crypto";
import { open, rename, rm, type FileHandle } from "node:fs/promises";
import path from "node:path";
import type { TarEntry } from "@xenoservers/protocol/archive";
import { bytesOf } from "@xenoservers/protocol/archive/bytes";
import type { InputEntry } from "@xenoservers/protocol/channel";
import { ENTRIES_MAX, TREE_BYTES_MAX } from "@xenoservers/protocol";
import { layerEntries } from "./layer-entries.ts";

const PATH_CHARACTERS_MAX = 4_096;

/** More than may be handed back: the customer's limit, in words. */
export class TooMuch extends Error {
  override name = "TooMuch";
}

const asText = (bytes: string): string => Buffer.from(bytes, "latin1").toString("utf8");

const plainName = (name: string): string | null => {
  const parts = asText(name).replace(/\/+$/, "").split("/");
  return parts.every((part) => part !== "" && part !== "." && part !== ".." && !part.includes("\0")) ? parts.join("/") : null;
};

/** Keeps a file's bytes, and says their digest. */
type Keep = (bytes: AsyncIterable<Buffer>) => Promise<string>;

const keepIn = (folder: string) => async (file: AsyncIterable<Buffer>) => {
  const hash = createHash("sha256");
  const part = path.join(folder, "part");
  const out = await open(part, "w", 0o600);
  try {
    for await (const bytes of file) {
      hash.update(bytes);
      await out.writeFile(bytes);
    }
  } finally {
    await out.close();
  }
  const digest = hash.digest("hex");
  await rename(part, path.join(folder, digest));
  return digest;
};

/**
 * Those of the entries in `archive` that can travel, their files in `folder`. Throws TooMuch, or Refusal for what is no archive; it is
 * gone afterwards.
 */
export async function readTree(archive: string, folder: string): Promise<InputEntry[]> {
  const file = await open(archive, "r");
  try {
    return await readEntries(file, (await file.stat()).size, keepIn(folder));
  } finally {
    await file.close();
    await rm(path.join(folder, "part"), { force: true });
    await rm(archive, { force: true });
  }
}

/** As readTree, of `size` bytes, each file handed to `keep`. */
export async function readEntries(file: FileHandle, size: number, keep: Keep): Promise<InputEntry[]> {
  const entries = new Map<string, InputEntry>();
  let characters = 0;
  let left = size;
  for await (const entry of layerEntries(file, size)) {
    const found = await entryOf(entry, entries, file, keep, left);
    if (!found) continue;
    if (found.path.length > PATH_CHARACTERS_MAX) throw new TooMuch("the job leaves files deeper than a result can name them");
    if (found.kind === "file" && entry.kind === "file") left -= entry.size;
    entries.set(found.path, found);
    characters += JSON.stringify(found).length;
    if (entries.size > ENTRIES_MAX || characters > TREE_BYTES_MAX)
      throw new TooMuch(`the job leaves more files than a result can name (${ENTRIES_MAX})`);
  }
  return [...entries.values()].sort((a, b) => (a.path < b.path ? -1 : 1));
}

async function entryOf(
  entry: TarEntry,
  before: ReadonlyMap<string, InputEntry>,
  file: FileHandle,
  keep: Keep,
  bytesMax: number,
): Promise<InputEntry | null> {
  const name = plainName(entry.name);
  if (name === null) return null;
  switch (entry.kind) {
    case "directory":
      return { path: name, kind: "directory" };
    case "symlink": {
      const target = asText(entry.target);
      return target === "" || target.length > PATH_CHARACTERS_MAX ? null : { path: name, kind: "link", target };
    }
    case "link": {
      const first = before.get(plainName(entry.target) ?? "");
      return first?.kind === "file" ? { ...first, path: name } : null;
    }
    case "file":
      if (entry.size > bytesMax) throw new TooMuch("the job hands back more than its disk holds");
      return { path: name, kind: "file", digest: await keep(bytesOf(entry, file)), size: entry.size };
    default:
      return null;
  }
}
