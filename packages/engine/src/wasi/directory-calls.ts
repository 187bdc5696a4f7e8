/** WASI calls on open directories: what lies in one, and where the guest finds those that were open from the start (fd_*). */
import { FILETYPE, RIGHTS, WasiError } from "./abi.ts";
import type { Listed, OpenDirectory } from "./descriptors.ts";
import { nodeType } from "./filestat.ts";
import { encodeUtf8 } from "./guest-memory.ts";
import type { Host } from "./host.ts";
import { workBytes } from "./limits.ts";
import { safeOffset } from "./offsets.ts";

const DIRENT_BYTES = 24;

export function directoryCalls({ memory, descriptors }: Host) {
  function listing(directory: OpenDirectory, cookie: number): readonly Listed[] {
    if (cookie !== 0 && directory.listing) return directory.listing;
    memory.touched += workBytes(directory.node.entries.size);
    const all = list(directory);
    descriptors.keepListing(directory, all);
    return all;
  }

  function preopenOf(fd: number): string {
    const descriptor = descriptors.get(fd, 0n);
    if (descriptor.kind !== "directory" || descriptor.preopen === null) throw new WasiError("BADF");
    return descriptor.preopen;
  }

  return {
    fd_prestat_get(fd: number, at: number) {
      const preopen = preopenOf(fd);
      memory.setU32(at, 0);
      memory.setU32(at + 4, encodeUtf8(preopen).length);
    },
    fd_prestat_dir_name(fd: number, buffer: number, length: number) {
      const name = encodeUtf8(preopenOf(fd));
      if (name.length > length >>> 0) throw new WasiError("NAMETOOLONG");
      memory.bytes(buffer, name.length).set(name);
    },
    fd_readdir(fd: number, buffer: number, length: number, cookie: bigint, usedAt: number) {
      const directory = descriptors.directory(fd, RIGHTS.FD_READDIR);
      const from = safeOffset(cookie);
      const entries = listing(directory, from);
      const into = memory.bytes(buffer, length);
      let used = 0;
      for (let i = from; i < entries.length && used < into.length; i++) {
        const part = dirent(entries[i]!, i + 1).subarray(0, into.length - used);
        into.set(part, used);
        used += part.length;
      }
      memory.setU32(usedAt, used);
    },
  };
}

/** In the order of names, so that it is the same everywhere. */
function list({ node, preopen }: OpenDirectory): Listed[] {
  const above = preopen === null ? (node.parent ?? node) : node;
  const entries = [...node.entries].sort(([a], [b]) => (a < b ? -1 : 1));
  return [
    { name: ".", ino: node.ino, type: FILETYPE.DIRECTORY },
    { name: "..", ino: above.ino, type: FILETYPE.DIRECTORY },
    ...entries.map(([name, child]) => ({ name, ino: child.ino, type: nodeType(child) })),
  ];
}

/** An entry as the guest reads it; `next` is the cookie with which it reads on behind it. */
function dirent({ name, ino, type }: Listed, next: number): Uint8Array {
  const text = encodeUtf8(name);
  const record = new Uint8Array(DIRENT_BYTES + text.length);
  const view = new DataView(record.buffer);
  view.setBigUint64(0, BigInt(next), true);
  view.setBigUint64(8, ino, true);
  view.setUint32(16, text.length, true);
  view.setUint8(20, type);
  record.set(text, DIRENT_BYTES);
  return record;
}
