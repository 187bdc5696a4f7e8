/** WASI calls on open descriptors (fd_*). */
import { FDFLAGS, FILETYPE, FSTFLAGS, RIGHTS, WHENCE, WasiError } from "./abi.ts";
import { filetypeOf, type Listed, type OpenDirectory, type OpenFile } from "./descriptors.ts";
import { encodeUtf8 } from "./guest-memory.ts";
import type { Host } from "./host.ts";
import { workBytes } from "./limits.ts";
import type { FileNode, Node } from "./nodes.ts";

const DIRENT_BYTES = 24;

const nodeType = (node: Node): number =>
  node.kind === "file" ? FILETYPE.REGULAR_FILE : node.kind === "directory" ? FILETYPE.DIRECTORY : FILETYPE.SYMBOLIC_LINK;

function safeOffset(value: bigint): number {
  if (value < 0n || value > BigInt(Number.MAX_SAFE_INTEGER)) throw new WasiError("INVAL");
  return Number(value);
}

/** A file's size, or where it is written: one that is too large is refused as such. */
function safeSize(value: bigint): number {
  if (value > BigInt(Number.MAX_SAFE_INTEGER)) throw new WasiError("FBIG");
  return safeOffset(value);
}

/** Writes a filestat; `null` is a standard stream. */
export function setFilestat({ memory }: Host, at: number, node: Node | null): void {
  memory.bytes(at, 64).fill(0);
  memory.setU8(at + 16, node ? nodeType(node) : FILETYPE.CHARACTER_DEVICE);
  memory.setU64(at + 24, 1n);
  if (!node) return;
  memory.setU64(at + 8, node.ino);
  memory.setU64(at + 24, BigInt(node.links));
  memory.setU64(at + 32, BigInt(node.kind === "file" ? node.size : node.kind === "link" ? node.target.bytes : 0));
  memory.setU64(at + 40, node.atimeNs);
  memory.setU64(at + 48, node.mtimeNs);
  memory.setU64(at + 56, node.ctimeNs);
}

export function setTimes({ clock }: Host, node: Node, atim: bigint, mtim: bigint, flags: number): void {
  const has = (flag: number): boolean => (flags & flag) !== 0;
  if ((has(FSTFLAGS.ATIM) && has(FSTFLAGS.ATIM_NOW)) || (has(FSTFLAGS.MTIM) && has(FSTFLAGS.MTIM_NOW))) throw new WasiError("INVAL");
  if (has(FSTFLAGS.ATIM)) node.atimeNs = BigInt.asUintN(64, atim);
  if (has(FSTFLAGS.ATIM_NOW)) node.atimeNs = clock.realtimeNs();
  if (has(FSTFLAGS.MTIM)) node.mtimeNs = BigInt.asUintN(64, mtim);
  if (has(FSTFLAGS.MTIM_NOW)) node.mtimeNs = clock.realtimeNs();
  node.ctimeNs = clock.realtimeNs();
}

export function descriptorCalls(host: Host) {
  const { memory, descriptors, files } = host;

  function readInto(fd: number, vectors: Uint8Array[], offset: number | null): number {
    const descriptor = descriptors.get(fd, RIGHTS.FD_READ | (offset === null ? 0n : RIGHTS.FD_SEEK));
    let done = 0;
    if (descriptor.kind === "input") {
      if (offset !== null) throw new WasiError("SPIPE");
      for (const buffer of vectors) {
        const part = descriptor.bytes.subarray(descriptor.offset, descriptor.offset + buffer.length);
        buffer.set(part);
        descriptor.offset += part.length;
        done += part.length;
      }
      return done;
    }
    if (descriptor.kind === "directory") throw new WasiError("ISDIR");
    if (descriptor.kind !== "file") throw new WasiError("BADF");
    let at = offset ?? descriptor.offset;
    for (const buffer of vectors) {
      const count = files.read(descriptor.node, at, buffer);
      at += count;
      done += count;
      if (count < buffer.length) break;
    }
    if (offset === null) descriptor.offset = at;
    return done;
  }

  function writeFrom(fd: number, vectors: Uint8Array[], offset: number | null): number {
    const descriptor = descriptors.get(fd, RIGHTS.FD_WRITE | (offset === null ? 0n : RIGHTS.FD_SEEK));
    let done = 0;
    if (descriptor.kind === "output") {
      if (offset !== null) throw new WasiError("SPIPE");
      for (const buffer of vectors) {
        if (buffer.length > 0) descriptor.write(buffer);
        done += buffer.length;
      }
      return done;
    }
    if (descriptor.kind === "directory") throw new WasiError("ISDIR");
    if (descriptor.kind !== "file") throw new WasiError("BADF");
    let at = offset ?? ((descriptor.flags & FDFLAGS.APPEND) !== 0 ? descriptor.node.size : descriptor.offset);
    for (const buffer of vectors) {
      const count = writePart(descriptor.node, at, buffer, done > 0);
      at += count;
      done += count;
      if (count < buffer.length) break;
    }
    if (offset === null) descriptor.offset = at;
    return done;
  }

  /** A write that stops short has written something: only one that cannot begin is refused. */
  function writePart(node: FileNode, at: number, buffer: Uint8Array, begun: boolean): number {
    try {
      return files.write(node, at, buffer);
    } catch (error) {
      if (begun && error instanceof WasiError) return 0;
      throw error;
    }
  }

  const nodeOf = (fd: number, rights: bigint): Node | null => {
    const descriptor = descriptors.get(fd, rights);
    return descriptor.kind === "file" || descriptor.kind === "directory" ? descriptor.node : null;
  };

  function listing(directory: OpenDirectory, cookie: number): readonly Listed[] {
    if (cookie === 0 || !directory.listing) {
      const { node } = directory;
      memory.touched += workBytes(node.entries.size);
      const all = [
        { name: ".", ino: node.ino, type: FILETYPE.DIRECTORY },
        { name: "..", ino: (directory.preopen === null ? (node.parent ?? node) : node).ino, type: FILETYPE.DIRECTORY },
        ...[...node.entries].sort(([a], [b]) => (a < b ? -1 : 1)).map(([name, child]) => ({ name, ino: child.ino, type: nodeType(child) })),
      ];
      descriptors.keepListing(directory, all);
      return all;
    }
    return directory.listing;
  }

  return {
    fd_advise(fd: number, _offset: bigint, _length: bigint, advice: number) {
      descriptors.file(fd, RIGHTS.FD_ADVISE);
      if (advice < 0 || advice > 5) throw new WasiError("INVAL");
    },
    fd_allocate(fd: number, offset: bigint, length: bigint) {
      const { node } = descriptors.file(fd, RIGHTS.FD_ALLOCATE);
      if (length <= 0n) throw new WasiError("INVAL");
      const end = safeSize(offset) + safeSize(length);
      if (end > node.size) files.resize(node, end);
    },
    fd_close: (fd: number) => descriptors.close(fd),
    fd_datasync: (fd: number) => void descriptors.get(fd, RIGHTS.FD_DATASYNC),
    fd_sync: (fd: number) => void descriptors.get(fd, RIGHTS.FD_SYNC),
    fd_fdstat_get(fd: number, at: number) {
      const descriptor = descriptors.get(fd, 0n);
      memory.bytes(at, 24).fill(0);
      memory.setU8(at, filetypeOf(descriptor));
      memory.setU16(at + 2, descriptor.flags);
      memory.setU64(at + 8, descriptor.rights);
      memory.setU64(at + 16, descriptor.inheriting);
    },
    fd_fdstat_set_flags(fd: number, flags: number) {
      const descriptor = descriptors.get(fd, RIGHTS.FD_FDSTAT_SET_FLAGS);
      if ((flags & ~31) !== 0) throw new WasiError("INVAL");
      if ((flags & (FDFLAGS.DSYNC | FDFLAGS.RSYNC | FDFLAGS.SYNC)) !== 0) throw new WasiError("NOTSUP");
      descriptor.flags = flags;
    },
    fd_fdstat_set_rights(fd: number, rights: bigint, inheriting: bigint) {
      const descriptor = descriptors.get(fd, 0n);
      const [base, inherited] = [BigInt.asUintN(64, rights), BigInt.asUintN(64, inheriting)];
      if ((base & ~descriptor.rights) !== 0n || (inherited & ~descriptor.inheriting) !== 0n) throw new WasiError("NOTCAPABLE");
      descriptor.rights = base;
      descriptor.inheriting = inherited;
    },
    fd_filestat_get: (fd: number, at: number) => setFilestat(host, at, nodeOf(fd, RIGHTS.FD_FILESTAT_GET)),
    fd_filestat_set_size: (fd: number, size: bigint) =>
      files.resize(descriptors.file(fd, RIGHTS.FD_FILESTAT_SET_SIZE).node, safeSize(size)),
    fd_filestat_set_times(fd: number, atim: bigint, mtim: bigint, flags: number) {
      const node = nodeOf(fd, RIGHTS.FD_FILESTAT_SET_TIMES);
      if (node) setTimes(host, node, atim, mtim, flags);
    },
    fd_read: (fd: number, vectors: number, count: number, at: number) =>
      memory.setU32(at, readInto(fd, memory.vectors(vectors, count), null)),
    fd_pread: (fd: number, vectors: number, count: number, offset: bigint, at: number) =>
      memory.setU32(at, readInto(fd, memory.vectors(vectors, count), safeOffset(offset))),
    fd_write: (fd: number, vectors: number, count: number, at: number) =>
      memory.setU32(at, writeFrom(fd, memory.vectors(vectors, count), null)),
    fd_pwrite: (fd: number, vectors: number, count: number, offset: bigint, at: number) =>
      memory.setU32(at, writeFrom(fd, memory.vectors(vectors, count), safeSize(offset))),
    fd_prestat_get(fd: number, at: number) {
      const descriptor = descriptors.get(fd, 0n);
      if (descriptor.kind !== "directory" || descriptor.preopen === null) throw new WasiError("BADF");
      memory.setU32(at, 0);
      memory.setU32(at + 4, encodeUtf8(descriptor.preopen).length);
    },
    fd_prestat_dir_name(fd: number, buffer: number, length: number) {
      const descriptor = descriptors.get(fd, 0n);
      if (descriptor.kind !== "directory" || descriptor.preopen === null) throw new WasiError("BADF");
      const name = encodeUtf8(descriptor.preopen);
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
        const { name, ino, type } = entries[i]!;
        const text = encodeUtf8(name);
        const record = new Uint8Array(DIRENT_BYTES + text.length);
        const view = new DataView(record.buffer);
        view.setBigUint64(0, BigInt(i + 1), true);
        view.setBigUint64(8, ino, true);
        view.setUint32(16, text.length, true);
        view.setUint8(20, type);
        record.set(text, DIRENT_BYTES);
        const part = record.subarray(0, into.length - used);
        into.set(part, used);
        used += part.length;
      }
      memory.setU32(usedAt, used);
    },
    fd_renumber: (from: number, to: number) => descriptors.renumber(from, to),
    fd_seek(fd: number, delta: bigint, whence: number, at: number) {
      const file = descriptors.file(fd, whence === WHENCE.CUR && delta === 0n ? RIGHTS.FD_TELL : RIGHTS.FD_SEEK);
      const base = whence === WHENCE.SET ? 0 : whence === WHENCE.CUR ? file.offset : whence === WHENCE.END ? file.node.size : null;
      if (base === null) throw new WasiError("INVAL");
      file.offset = safeOffset(BigInt(base) + delta);
      memory.setU64(at, BigInt(file.offset));
    },
    fd_tell: (fd: number, at: number) => memory.setU64(at, BigInt(tell(descriptors.file(fd, RIGHTS.FD_TELL)))),
  };
}

const tell = (file: OpenFile): number => file.offset;
