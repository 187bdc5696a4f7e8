/** WASI calls on paths (path_*), each relative to an open directory. */
import { DIRECTORY_RIGHTS, FDFLAGS, FILE_RIGHTS, LOOKUP_SYMLINK_FOLLOW, OFLAGS, RIGHTS, WasiError } from "./abi.ts";
import { setFilestat, setTimes } from "./descriptor-calls.ts";
import type { Descriptor } from "./descriptors.ts";
import { encodeUtf8 } from "./guest-memory.ts";
import type { Host } from "./host.ts";
import { PATH_BYTES_MAX, TARGET_BYTES_MAX, workBytes } from "./limits.ts";
import type { DirectoryNode, Node } from "./nodes.ts";
import { mustExist, resolve, type Place } from "./path.ts";

export function pathCalls(host: Host) {
  const { memory, descriptors, files } = host;

  function place(
    fd: number,
    rights: bigint,
    pointer: number,
    length: number,
    follow: boolean,
    shown = (path: string): string => path,
  ): Place {
    const found = resolve(descriptors.directory(fd, rights).node, shown(memory.text(pointer, length, PATH_BYTES_MAX)), follow);
    memory.touched += workBytes(found.steps);
    return found;
  }
  const follows = (flags: number): boolean => (flags & LOOKUP_SYMLINK_FOLLOW) !== 0;

  function named(where: Place): string {
    if (where.name === ".") throw new WasiError("INVAL");
    return where.name;
  }

  function openDescriptor(node: Node, rights: bigint, inheriting: bigint, flags: number): Descriptor {
    if (node.kind === "link") throw new WasiError("LOOP");
    if (node.kind === "directory")
      return { kind: "directory", node, preopen: null, listing: null, rights: rights & DIRECTORY_RIGHTS, inheriting, flags };
    return { kind: "file", node, offset: 0, rights: rights & FILE_RIGHTS, inheriting: 0n, flags };
  }

  function isInside(node: Node, directory: DirectoryNode): boolean {
    for (let at: DirectoryNode | null = directory; at; at = at.parent) if (at === node) return true;
    return false;
  }

  return {
    path_create_directory(fd: number, path: number, length: number) {
      // what is there already is there, whatever it is: a slash asks for no folder here
      const where = place(fd, RIGHTS.PATH_CREATE_DIRECTORY, path, length, false, (text) => text.replace(/(?<=[^/])\/+$/, ""));
      if (where.node) throw new WasiError("EXIST");
      files.makeDirectory(where.parent, named(where));
    },
    path_filestat_get: (fd: number, flags: number, path: number, length: number, at: number) =>
      setFilestat(host, at, mustExist(place(fd, RIGHTS.PATH_FILESTAT_GET, path, length, follows(flags)))),
    path_filestat_set_times(fd: number, flags: number, path: number, length: number, atim: bigint, mtim: bigint, fst: number) {
      const where = place(fd, RIGHTS.PATH_FILESTAT_SET_TIMES, path, length, follows(flags));
      files.assertWritable(where.parent);
      setTimes(host, mustExist(where), atim, mtim, fst);
    },
    path_link(oldFd: number, flags: number, oldPath: number, oldLength: number, newFd: number, newPath: number, newLength: number) {
      const node = mustExist(place(oldFd, RIGHTS.PATH_LINK_SOURCE, oldPath, oldLength, follows(flags)));
      const where = place(newFd, RIGHTS.PATH_LINK_TARGET, newPath, newLength, false);
      if (node.kind === "directory") throw new WasiError("PERM");
      if (where.node) throw new WasiError("EXIST");
      if (where.mustBeDirectory) throw new WasiError("NOENT");
      files.link(where.parent, named(where), node);
    },
    path_open(
      fd: number,
      dirflags: number,
      path: number,
      length: number,
      oflags: number,
      rights: bigint,
      inheriting: bigint,
      fdflags: number,
      at: number,
    ) {
      const directory = descriptors.directory(fd, RIGHTS.PATH_OPEN);
      const has = (flag: number): boolean => (oflags & flag) !== 0;
      if (has(OFLAGS.CREAT) && (directory.rights & RIGHTS.PATH_CREATE_FILE) === 0n) throw new WasiError("NOTCAPABLE");
      if (has(OFLAGS.TRUNC) && (directory.rights & RIGHTS.PATH_FILESTAT_SET_SIZE) === 0n) throw new WasiError("NOTCAPABLE");
      if (has(OFLAGS.CREAT) && has(OFLAGS.DIRECTORY)) throw new WasiError("INVAL");
      if ((fdflags & (FDFLAGS.DSYNC | FDFLAGS.RSYNC | FDFLAGS.SYNC)) !== 0) throw new WasiError("NOTSUP");
      const base = BigInt.asUintN(64, rights);
      const inherited = BigInt.asUintN(64, inheriting) & directory.inheriting;
      const writes = (base & (RIGHTS.FD_WRITE | RIGHTS.FD_ALLOCATE | RIGHTS.FD_FILESTAT_SET_SIZE)) !== 0n;
      if (writes && (directory.inheriting & RIGHTS.FD_WRITE) === 0n) throw new WasiError("NOTCAPABLE");
      descriptors.assertRoom();
      const where = place(fd, RIGHTS.PATH_OPEN, path, length, follows(dirflags));
      let { node } = where;
      if (!node) {
        if (!has(OFLAGS.CREAT)) throw new WasiError("NOENT");
        if (where.mustBeDirectory) throw new WasiError("ISDIR");
        node = files.makeFile(where.parent, named(where));
      } else if (has(OFLAGS.CREAT) && has(OFLAGS.EXCL)) throw new WasiError("EXIST");
      else if (node.kind === "link") throw new WasiError("LOOP");
      else if (node.kind === "file" && (has(OFLAGS.DIRECTORY) || where.mustBeDirectory)) throw new WasiError("NOTDIR");
      else if (node.kind === "directory" && (writes || has(OFLAGS.CREAT) || has(OFLAGS.TRUNC))) throw new WasiError("ISDIR");
      else if (node.kind === "file" && (writes || has(OFLAGS.TRUNC))) {
        files.assertWritable(where.parent);
        if (has(OFLAGS.TRUNC)) files.resize(node, 0);
      }
      memory.setU32(at, descriptors.add(openDescriptor(node, base & directory.inheriting, inherited, fdflags)));
    },
    path_readlink(fd: number, path: number, length: number, buffer: number, size: number, usedAt: number) {
      const node = mustExist(place(fd, RIGHTS.PATH_READLINK, path, length, false));
      if (node.kind !== "link") throw new WasiError("INVAL");
      const target = encodeUtf8(node.target.text).subarray(0, size >>> 0);
      memory.bytes(buffer, target.length).set(target);
      memory.setU32(usedAt, target.length);
    },
    path_remove_directory(fd: number, path: number, length: number) {
      const where = place(fd, RIGHTS.PATH_REMOVE_DIRECTORY, path, length, false);
      const node = mustExist(where);
      if (node.kind !== "directory") throw new WasiError("NOTDIR");
      if (node.entries.size > 0) throw new WasiError("NOTEMPTY");
      files.unlink(where.parent, named(where));
    },
    path_rename(oldFd: number, oldPath: number, oldLength: number, newFd: number, newPath: number, newLength: number) {
      const from = place(oldFd, RIGHTS.PATH_RENAME_SOURCE, oldPath, oldLength, false);
      const to = place(newFd, RIGHTS.PATH_RENAME_TARGET, newPath, newLength, false);
      const node = mustExist(from);
      if (node === to.node) return;
      if (node.kind === "directory" && isInside(node, to.parent)) throw new WasiError("INVAL");
      if (node.kind !== "directory" && to.mustBeDirectory) throw new WasiError("NOTDIR");
      files.assertWritable(from.parent);
      files.assertWritable(to.parent);
      if (to.node) {
        if (node.kind === "directory" && to.node.kind !== "directory") throw new WasiError("NOTDIR");
        if (node.kind !== "directory" && to.node.kind === "directory") throw new WasiError("ISDIR");
        if (to.node.kind === "directory" && to.node.entries.size > 0) throw new WasiError("NOTEMPTY");
      }
      memory.touched += workBytes(files.move({ parent: from.parent, name: named(from) }, { parent: to.parent, name: named(to) }));
    },
    path_symlink(target: number, targetLength: number, fd: number, path: number, length: number) {
      const where = place(fd, RIGHTS.PATH_SYMLINK, path, length, false);
      const text = memory.text(target, targetLength, TARGET_BYTES_MAX);
      if (text === "") throw new WasiError("NOENT");
      if (text.startsWith("/")) throw new WasiError("PERM");
      if (where.node) throw new WasiError("EXIST");
      if (where.mustBeDirectory) throw new WasiError("NOENT");
      files.makeLink(where.parent, named(where), text);
    },
    path_unlink_file(fd: number, path: number, length: number) {
      const where = place(fd, RIGHTS.PATH_UNLINK_FILE, path, length, false);
      const node = mustExist(where);
      if (node.kind === "directory") throw new WasiError("ISDIR");
      if (where.mustBeDirectory) throw new WasiError("NOTDIR");
      files.unlink(where.parent, named(where));
    },
  };
}
