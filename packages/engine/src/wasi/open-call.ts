/** The WASI call that opens a path: what it asks for against what the directory may, and what it finds there. */
import { DIRECTORY_RIGHTS, FDFLAGS, FILE_RIGHTS, OFLAGS, RIGHTS, WasiError } from "./abi.ts";
import type { Descriptor, OpenDirectory } from "./descriptors.ts";
import type { FileSystem } from "./file-system.ts";
import type { Host } from "./host.ts";
import { follows, lookup, named } from "./lookup.ts";
import type { DirectoryNode, FileNode, Node } from "./nodes.ts";
import type { Place } from "./path.ts";

const WRITING = RIGHTS.FD_WRITE | RIGHTS.FD_ALLOCATE | RIGHTS.FD_FILESTAT_SET_SIZE;

interface Wanted {
  create: boolean;
  exclusive: boolean;
  truncate: boolean;
  directory: boolean;
  write: boolean;
}

export function openCall(host: Host) {
  const { memory, descriptors, files } = host;
  return {
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
      const base = BigInt.asUintN(64, rights);
      const inherited = BigInt.asUintN(64, inheriting) & directory.inheriting;
      const wanted = wantedOf(oflags, base);
      assertMay(directory, wanted, fdflags);
      descriptors.assertRoom();
      // who asks that nothing be there is told of a link too, wherever it leads
      const follow = follows(dirflags) && !(wanted.create && wanted.exclusive);
      const where = lookup(host, fd, RIGHTS.PATH_OPEN, [path, length], follow);
      const node = where.node ? found(files, where, where.node, wanted) : created(files, where, wanted);
      memory.setU32(at, descriptors.add(openDescriptor(node, base & directory.inheriting, inherited, fdflags)));
    },
  };
}

const wantedOf = (oflags: number, rights: bigint): Wanted => ({
  create: (oflags & OFLAGS.CREAT) !== 0,
  exclusive: (oflags & OFLAGS.EXCL) !== 0,
  truncate: (oflags & OFLAGS.TRUNC) !== 0,
  directory: (oflags & OFLAGS.DIRECTORY) !== 0,
  write: (rights & WRITING) !== 0n,
});

function assertMay({ rights, inheriting }: OpenDirectory, wanted: Wanted, fdflags: number): void {
  if (wanted.create && (rights & RIGHTS.PATH_CREATE_FILE) === 0n) throw new WasiError("NOTCAPABLE");
  if (wanted.truncate && (rights & RIGHTS.PATH_FILESTAT_SET_SIZE) === 0n) throw new WasiError("NOTCAPABLE");
  if (wanted.create && wanted.directory) throw new WasiError("INVAL");
  if ((fdflags & (FDFLAGS.DSYNC | FDFLAGS.RSYNC | FDFLAGS.SYNC)) !== 0) throw new WasiError("NOTSUP");
  if (wanted.write && (inheriting & RIGHTS.FD_WRITE) === 0n) throw new WasiError("NOTCAPABLE");
}

/** A new file where nothing was. */
function created(files: FileSystem, where: Place, wanted: Wanted): FileNode {
  if (!wanted.create) throw new WasiError("NOENT");
  if (where.mustBeDirectory) throw new WasiError("ISDIR");
  return files.makeFile(where.parent, named(where));
}

/** What was there already, emptied where that is asked for. */
function found(files: FileSystem, { parent, mustBeDirectory }: Place, node: Node, wanted: Wanted): FileNode | DirectoryNode {
  if (wanted.create && wanted.exclusive) throw new WasiError("EXIST");
  if (node.kind === "link") throw new WasiError("LOOP");
  if (node.kind === "directory") {
    if (wanted.write || wanted.create || wanted.truncate) throw new WasiError("ISDIR");
    return node;
  }
  if (wanted.directory || mustBeDirectory) throw new WasiError("NOTDIR");
  if (wanted.write || wanted.truncate) files.assertWritable(parent);
  if (wanted.truncate) files.resize(node, 0);
  return node;
}

function openDescriptor(node: FileNode | DirectoryNode, rights: bigint, inheriting: bigint, flags: number): Descriptor {
  if (node.kind === "directory")
    return { kind: "directory", node, preopen: null, listing: null, rights: rights & DIRECTORY_RIGHTS, inheriting, flags };
  return { kind: "file", node, offset: 0, rights: rights & FILE_RIGHTS, inheriting: 0n, flags };
}
