/** WASI calls on what is open, besides its content: flags, rights, size and times, closing (fd_*). */
import { FDFLAGS, RIGHTS, WasiError } from "./abi.ts";
import { filetypeOf } from "./descriptors.ts";
import { setFilestat, setTimes } from "./filestat.ts";
import type { Host } from "./host.ts";
import type { Node } from "./nodes.ts";
import { safeSize } from "./offsets.ts";

export function descriptorCalls(host: Host) {
  const { memory, descriptors, files } = host;

  /** Null is a standard stream. */
  const nodeOf = (fd: number, rights: bigint): Node | null => {
    const descriptor = descriptors.get(fd, rights);
    return descriptor.kind === "file" || descriptor.kind === "directory" ? descriptor.node : null;
  };

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
    fd_renumber: (from: number, to: number) => descriptors.renumber(from, to),
  };
}
