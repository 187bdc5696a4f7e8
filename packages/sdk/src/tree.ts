/** Folders of this machine as trees that travel. Who controls the inputs: whoever runs this. */
import { createHash } from "node:crypto";
import { lstat, open, readdir, readlink, stat, type FileHandle } from "node:fs/promises";
import path from "node:path";
import { JOB_LIMITS } from "@xenoservers/protocol";
import type { Blob, SourceEntry } from "./blob.ts";
import { passedOf, type Reading } from "./given-bytes.ts";
import { sentTarget } from "./tree-plan.ts";

/** A file that is read part by part stays open from one to the next. */
const OPEN_MS = 1_000;

/** Not beyond `size`, whatever the file has become. */
export function readAt(file: string, size: number): Blob["read"] {
  let opened: Promise<FileHandle> | null = null;
  let readers = 0;
  let closing: NodeJS.Timeout | undefined;
  const close = (): void => {
    if (readers > 0) return;
    void opened?.then((handle) => handle.close()).catch(() => {});
    opened = null;
  };
  return async (offset, length) => {
    readers++;
    clearTimeout(closing);
    try {
      const handle = await (opened ??= open(file, "r"));
      const bytes = new Uint8Array(Math.min(length, Math.max(0, size - offset)));
      const { bytesRead } = await handle.read(bytes, 0, bytes.length, offset);
      return bytes.subarray(0, bytesRead);
    } catch (error) {
      opened = null;
      throw error;
    } finally {
      readers--;
      if (offset + length >= size) close();
      else closing = setTimeout(close, OPEN_MS).unref();
    }
  };
}

const HASHED_BYTES = 1024 * 1024;

/** One piece is hashed while the next is read, always into the same memory. Not beyond `size`, whatever the file has become. */
async function digestOf(file: string, size: number, passed: (bytes: number) => void): Promise<string> {
  const hash = createHash("sha256");
  const handle = await open(file, "r");
  const pieceBytes = Math.min(HASHED_BYTES, Math.max(1, size));
  let [now, next] = [new Uint8Array(pieceBytes), new Uint8Array(pieceBytes)];
  let left = size;
  const read = (into: Uint8Array<ArrayBuffer>) => handle.read(into, 0, Math.min(pieceBytes, left));
  try {
    let { bytesRead } = await read(now);
    while (bytesRead > 0) {
      left -= bytesRead;
      const reading = read(next);
      reading.catch(() => {}); // said when its turn has come
      hash.update(now.subarray(0, bytesRead));
      passed(bytesRead);
      ({ bytesRead } = await reading);
      [now, next] = [next, now];
    }
  } finally {
    await handle.close();
  }
  return hash.digest("hex");
}

/**
 * `passed`: called with how many bytes were read anew; where it throws no more are. Throws for what is no file: a pipe or a device has no
 * end that is known beforehand.
 */
export async function fileBlob(file: string, passed: (bytes: number) => void = () => {}): Promise<Blob> {
  const found = await stat(file);
  if (!found.isFile()) throw new Error(`${file} is no file`);
  const { size } = found;
  return { digest: await digestOf(file, size, passed), size, read: readAt(file, size), isReadAnew: true };
}

/** What stands for bytes that are no text. */
const NO_TEXT = "\ufffd";

const WHY_UNREAD: Readonly<Record<string, string>> = {
  ENOENT: "it is not there",
  ENOTDIR: "it is a file, and a folder is wanted",
  EACCES: "this user may not read it",
  EPERM: "this user may not read it",
};

/** Of a file of this machine, which whoever waits hears of by `name`. */
export async function blobAt(file: string, name: string, reading: Reading): Promise<Blob> {
  const found = await stat(file);
  return fileBlob(file, passedOf(reading, name, found.size));
}

/** A folder's content, sorted; links are kept as links. Throws, in words, for what cannot travel; AbortedError where it is called off. */
export async function readTree(folder: string, reading: Reading = {}): Promise<SourceEntry[]> {
  const entries: SourceEntry[] = [];
  async function mustBeText(name: string, file: string): Promise<void> {
    if (name.includes(NO_TEXT) && !(await lstat(file).catch(() => null)))
      throw new Error(`the name of ${file} is no text in UTF-8; it cannot travel`);
  }
  const walk = async (below: string): Promise<void> => {
    const names = await readdir(path.join(folder, below), { withFileTypes: true }).catch((cause: NodeJS.ErrnoException) => {
      const why = WHY_UNREAD[cause.code ?? ""] ?? cause.message;
      throw new Error(`cannot read the folder ${path.join(folder, below)}: ${why}`, { cause });
    });
    for (const entry of names.sort((a, b) => (a.name < b.name ? -1 : 1))) {
      const at = below === "" ? entry.name : `${below}/${entry.name}`;
      if (entries.length >= JOB_LIMITS.entries)
        throw new Error(`${folder} holds more than ${JOB_LIMITS.entries} files, folders and links; pack them into an archive`);
      await mustBeText(entry.name, path.join(folder, at));
      if (entry.isDirectory()) {
        entries.push({ path: at, kind: "directory" });
        await walk(at);
      } else if (entry.isSymbolicLink())
        entries.push({ path: at, kind: "link", target: sentTarget(await readlink(path.join(folder, at))) });
      else if (entry.isFile()) entries.push({ path: at, kind: "file", blob: await blobAt(path.join(folder, at), at, reading) });
      else throw new Error(`${path.join(folder, at)} is neither a file, a folder nor a link; it cannot travel`);
    }
  };
  await walk("");
  return entries;
}
