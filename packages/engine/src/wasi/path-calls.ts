/** WASI calls on paths, each relative to an open directory: what a path leads to, and what folders hold (path_*). */
import { RIGHTS, WasiError } from "./abi.ts";
import { setFilestat, setTimes } from "./filestat.ts";
import { encodeUtf8 } from "./guest-memory.ts";
import type { Host } from "./host.ts";
import { TARGET_BYTES_MAX, workBytes } from "./limits.ts";
import { follows, lookup, named } from "./lookup.ts";
import type { DirectoryNode, Node } from "./nodes.ts";
import { mustExist, type Place } from "./path.ts";

export const pathCalls = (host: Host) => ({ ...nodeCalls(host), ...makingCalls(host), ...movingCalls(host) });

/** On the node that a path leads to. */
function nodeCalls(host: Host) {
  const { memory, files } = host;
  return {
    path_filestat_get: (fd: number, flags: number, path: number, length: number, at: number) =>
      setFilestat(host, at, mustExist(lookup(host, fd, RIGHTS.PATH_FILESTAT_GET, [path, length], follows(flags)))),
    path_filestat_set_times(fd: number, flags: number, path: number, length: number, atim: bigint, mtim: bigint, fst: number) {
      const where = lookup(host, fd, RIGHTS.PATH_FILESTAT_SET_TIMES, [path, length], follows(flags));
      files.assertWritable(where.parent);
      setTimes(host, mustExist(where), atim, mtim, fst);
    },
    path_readlink(fd: number, path: number, length: number, buffer: number, size: number, usedAt: number) {
      const node = mustExist(lookup(host, fd, RIGHTS.PATH_READLINK, [path, length]));
      if (node.kind !== "link") throw new WasiError("INVAL");
      const target = encodeUtf8(node.target.text).subarray(0, size >>> 0);
      memory.bytes(buffer, target.length).set(target);
      memory.setU32(usedAt, target.length);
    },
  };
}

/** New names in folders. */
function makingCalls(host: Host) {
  const { memory, files } = host;
  return {
    path_create_directory(fd: number, path: number, length: number) {
      // what is there already is there, whatever it is: a slash asks for no folder here
      const where = lookup(host, fd, RIGHTS.PATH_CREATE_DIRECTORY, [path, length], false, withoutSlash);
      if (where.node) throw new WasiError("EXIST");
      if (where.dots !== null) throw new WasiError("NOENT");
      files.makeDirectory(where.parent, named(where));
    },
    path_link(oldFd: number, flags: number, oldPath: number, oldLength: number, newFd: number, newPath: number, newLength: number) {
      const node = mustExist(lookup(host, oldFd, RIGHTS.PATH_LINK_SOURCE, [oldPath, oldLength], follows(flags)));
      const where = lookup(host, newFd, RIGHTS.PATH_LINK_TARGET, [newPath, newLength]);
      if (node.kind === "directory") throw new WasiError("PERM");
      assertFree(where);
      files.link(where.parent, named(where), node);
    },
    path_symlink(target: number, targetLength: number, fd: number, path: number, length: number) {
      const where = lookup(host, fd, RIGHTS.PATH_SYMLINK, [path, length]);
      const text = memory.text(target, targetLength, TARGET_BYTES_MAX);
      if (text === "") throw new WasiError("NOENT");
      if (text.startsWith("/")) throw new WasiError("PERM");
      assertFree(where);
      files.makeLink(where.parent, named(where), text);
    },
  };
}

/** Names that go, or become others. */
function movingCalls(host: Host) {
  const { memory, files } = host;
  return {
    path_remove_directory(fd: number, path: number, length: number) {
      const where = lookup(host, fd, RIGHTS.PATH_REMOVE_DIRECTORY, [path, length], "never");
      const node = mustExist(where);
      if (node.kind !== "directory") throw new WasiError("NOTDIR");
      if (where.dots === ".") throw new WasiError("INVAL");
      if (node.entries.size > 0) throw new WasiError("NOTEMPTY");
      files.unlink(where.parent, named(where));
    },
    path_rename(oldFd: number, oldPath: number, oldLength: number, newFd: number, newPath: number, newLength: number) {
      const from = lookup(host, oldFd, RIGHTS.PATH_RENAME_SOURCE, [oldPath, oldLength], "never");
      const to = lookup(host, newFd, RIGHTS.PATH_RENAME_TARGET, [newPath, newLength], "never");
      const node = mustExist(from);
      if (from.dots !== null || to.dots !== null) throw new WasiError("BUSY");
      if (node === to.node) return;
      if (node.kind === "directory" && isInside(node, to.parent)) throw new WasiError("INVAL");
      if (node.kind !== "directory" && to.mustBeDirectory) throw new WasiError("NOTDIR");
      files.assertWritable(from.parent);
      files.assertWritable(to.parent);
      if (to.node) assertReplaceable(to.node, node);
      memory.touched += workBytes(files.move({ parent: from.parent, name: named(from) }, { parent: to.parent, name: named(to) }));
    },
    path_unlink_file(fd: number, path: number, length: number) {
      const where = lookup(host, fd, RIGHTS.PATH_UNLINK_FILE, [path, length], "never");
      const node = mustExist(where);
      if (node.kind === "directory") throw new WasiError("ISDIR");
      if (where.mustBeDirectory) throw new WasiError("NOTDIR");
      files.unlink(where.parent, named(where));
    },
  };
}

const withoutSlash = (path: string): string => path.replace(/(?<=[^/])\/+$/, "");

/** For a name that is no folder's. */
function assertFree(where: Place): void {
  if (where.node) throw new WasiError("EXIST");
  if (where.mustBeDirectory) throw new WasiError("NOENT");
}

function isInside(node: Node, directory: DirectoryNode): boolean {
  for (let at: DirectoryNode | null = directory; at; at = at.parent) if (at === node) return true;
  return false;
}

/** A folder takes the place of an empty folder only, and nothing else takes a folder's. */
function assertReplaceable(old: Node, node: Node): void {
  if (node.kind === "directory" && old.kind !== "directory") throw new WasiError("NOTDIR");
  if (node.kind !== "directory" && old.kind === "directory") throw new WasiError("ISDIR");
  if (old.kind === "directory" && old.entries.size > 0) throw new WasiError("NOTEMPTY");
}
