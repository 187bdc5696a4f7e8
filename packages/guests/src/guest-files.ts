/**
 * What a guest wrote, as the daemon reads it: regular files of its folder, a part at a time. No link is followed in any part of the path
 * and nothing is opened that could block or act (a pipe, a socket, a device): each name is looked up in the folder that is already open.
 * Who controls the inputs: the daemon says which folder; every name, kind, size and byte below it is the guest's, and may change meanwhile.
 */
import { closeSync, constants, fstatSync, openSync, read, type Stats } from "node:fs";
import path from "node:path";
import { promisify } from "node:util";

/** Names a file without opening it (open(2), O_PATH); Node has no name for it. */
const O_PATH = 0o10_000_000;
const { O_RDONLY, O_DIRECTORY, O_NOFOLLOW, O_NONBLOCK, O_NOCTTY, O_CREAT, O_EXCL, O_WRONLY } = constants;
const NO_BYTES = new Uint8Array(0);
const PIECE_BYTES = 1024 * 1024;
const readPart = promisify(read);

const opened = (fd: number): string => `/proc/self/fd/${fd}`;

/** Calls with the folder that holds the last of these names, open; null where one of them is no folder. */
function inFolder<T>(folder: string, inside: string, call: (folder: string, name: string) => T): T | null {
  const names = inside.split("/");
  const last = names.pop() ?? "";
  if ([...names, last].some((name) => name === "" || name === "." || name === "..")) throw new Error(`${inside} is no path below a folder`);
  let fd: number | null = null;
  try {
    fd = openSync(folder, O_PATH | O_DIRECTORY);
    for (const name of names) {
      const next = openSync(path.join(opened(fd), name), O_PATH | O_DIRECTORY | O_NOFOLLOW);
      closeSync(fd);
      fd = next;
    }
    return call(opened(fd), last);
  } catch {
    return null; // absent, or not what it has to be any more
  } finally {
    if (fd !== null) closeSync(fd);
  }
}

/** The descriptor of a regular file, to be closed by the caller; null where there is none. */
function openRegular(folder: string, inside: string): number | null {
  return inFolder(folder, inside, (at, name) => {
    const named = openSync(`${at}/${name}`, O_PATH | O_NOFOLLOW);
    try {
      return fstatSync(named).isFile() ? openSync(opened(named), O_RDONLY | O_NONBLOCK | O_NOCTTY) : null;
    } finally {
      closeSync(named);
    }
  });
}

/** `inside`: below the folder, names with slashes between them. Empty where there is no such file, or nothing at the offset. */
export async function readGuestFile(folder: string, inside: string, offset: number, length: number): Promise<Uint8Array> {
  const fd = openRegular(folder, inside);
  if (fd === null) return NO_BYTES;
  try {
    const bytes = new Uint8Array(Math.max(0, Math.min(length, fstatSync(fd).size - offset)));
    const { bytesRead } = await readPart(fd, bytes, 0, bytes.length, offset);
    return bytes.subarray(0, bytesRead);
  } finally {
    closeSync(fd);
  }
}

/** All of a file from its start, in pieces, at most so many bytes. */
export async function* guestFilePieces(folder: string, inside: string, bytesMax: number): AsyncGenerator<Uint8Array> {
  const fd = openRegular(folder, inside);
  if (fd === null) return;
  try {
    for (let at = 0; at < bytesMax;) {
      const { bytesRead, buffer } = await readPart(fd, new Uint8Array(PIECE_BYTES), 0, Math.min(PIECE_BYTES, bytesMax - at), at);
      if (bytesRead === 0) return;
      yield buffer.subarray(0, bytesRead);
      at += bytesRead;
    }
  } finally {
    closeSync(fd);
  }
}

/** The end of a text, such as a log. */
export async function guestTextEnd(folder: string, inside: string, bytesMax: number): Promise<string> {
  const size = statGuestFile(folder, inside)?.size ?? 0;
  return Buffer.from(await readGuestFile(folder, inside, Math.max(0, size - bytesMax), bytesMax)).toString("utf8");
}

/** Null where there is no regular file. */
export function statGuestFile(folder: string, inside: string): Stats | null {
  const fd = openRegular(folder, inside);
  if (fd === null) return null;
  try {
    return fstatSync(fd);
  } finally {
    closeSync(fd);
  }
}

/** Leaves an empty file for the guest to see, where no name stands in its place: what stands there is left as it is. */
export function placeMarker(folder: string, name: string): void {
  inFolder(folder, name, (at) => closeSync(openSync(`${at}/${name}`, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0o644)));
}
