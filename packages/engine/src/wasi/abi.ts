/** The numbers of WASI preview 1 (wasi_snapshot_preview1, WebAssembly/WASI legacy/preview1/docs.md). */

export const ERRNO = {
  SUCCESS: 0,
  ACCES: 2,
  AGAIN: 6,
  BADF: 8,
  BUSY: 10,
  EXIST: 20,
  FBIG: 22,
  INVAL: 28,
  IO: 29,
  ISDIR: 31,
  LOOP: 32,
  MFILE: 33,
  MLINK: 34,
  NAMETOOLONG: 37,
  NOENT: 44,
  NOMEM: 48,
  NOSPC: 51,
  NOSYS: 52,
  NOTDIR: 54,
  NOTEMPTY: 55,
  NOTSOCK: 57,
  NOTSUP: 58,
  PERM: 63,
  PIPE: 64,
  ROFS: 69,
  SPIPE: 70,
  NOTCAPABLE: 76,
  FAULT: 21,
  ILSEQ: 25,
  XDEV: 75,
} as const;

export const RIGHTS = {
  FD_DATASYNC: 1n << 0n,
  FD_READ: 1n << 1n,
  FD_SEEK: 1n << 2n,
  FD_FDSTAT_SET_FLAGS: 1n << 3n,
  FD_SYNC: 1n << 4n,
  FD_TELL: 1n << 5n,
  FD_WRITE: 1n << 6n,
  FD_ADVISE: 1n << 7n,
  FD_ALLOCATE: 1n << 8n,
  PATH_CREATE_DIRECTORY: 1n << 9n,
  PATH_CREATE_FILE: 1n << 10n,
  PATH_LINK_SOURCE: 1n << 11n,
  PATH_LINK_TARGET: 1n << 12n,
  PATH_OPEN: 1n << 13n,
  FD_READDIR: 1n << 14n,
  PATH_READLINK: 1n << 15n,
  PATH_RENAME_SOURCE: 1n << 16n,
  PATH_RENAME_TARGET: 1n << 17n,
  PATH_FILESTAT_GET: 1n << 18n,
  PATH_FILESTAT_SET_SIZE: 1n << 19n,
  PATH_FILESTAT_SET_TIMES: 1n << 20n,
  FD_FILESTAT_GET: 1n << 21n,
  FD_FILESTAT_SET_SIZE: 1n << 22n,
  FD_FILESTAT_SET_TIMES: 1n << 23n,
  PATH_SYMLINK: 1n << 24n,
  PATH_REMOVE_DIRECTORY: 1n << 25n,
  PATH_UNLINK_FILE: 1n << 26n,
  POLL_FD_READWRITE: 1n << 27n,
  SOCK_SHUTDOWN: 1n << 28n,
  SOCK_ACCEPT: 1n << 29n,
} as const;

const union = (...rights: bigint[]): bigint => rights.reduce((all, right) => all | right, 0n);
const ALL_RIGHTS = (1n << 30n) - 1n;
const WRITING = union(
  RIGHTS.FD_WRITE,
  RIGHTS.FD_ALLOCATE,
  RIGHTS.PATH_CREATE_DIRECTORY,
  RIGHTS.PATH_CREATE_FILE,
  RIGHTS.PATH_LINK_SOURCE,
  RIGHTS.PATH_LINK_TARGET,
  RIGHTS.PATH_RENAME_SOURCE,
  RIGHTS.PATH_RENAME_TARGET,
  RIGHTS.PATH_FILESTAT_SET_SIZE,
  RIGHTS.PATH_FILESTAT_SET_TIMES,
  RIGHTS.FD_FILESTAT_SET_SIZE,
  RIGHTS.FD_FILESTAT_SET_TIMES,
  RIGHTS.PATH_SYMLINK,
  RIGHTS.PATH_REMOVE_DIRECTORY,
  RIGHTS.PATH_UNLINK_FILE,
);
const ON_FILES = union(
  RIGHTS.FD_DATASYNC,
  RIGHTS.FD_READ,
  RIGHTS.FD_SEEK,
  RIGHTS.FD_FDSTAT_SET_FLAGS,
  RIGHTS.FD_SYNC,
  RIGHTS.FD_TELL,
  RIGHTS.FD_WRITE,
  RIGHTS.FD_ADVISE,
  RIGHTS.FD_ALLOCATE,
  RIGHTS.FD_FILESTAT_GET,
  RIGHTS.FD_FILESTAT_SET_SIZE,
  RIGHTS.FD_FILESTAT_SET_TIMES,
  RIGHTS.POLL_FD_READWRITE,
);
const ON_DIRECTORIES_ONLY = union(
  RIGHTS.FD_READ,
  RIGHTS.FD_SEEK,
  RIGHTS.FD_TELL,
  RIGHTS.FD_WRITE,
  RIGHTS.FD_ALLOCATE,
  RIGHTS.FD_FILESTAT_SET_SIZE,
);

/** Rights that make sense on a file, on a directory, on a standard stream; and the same without writing. */
export const FILE_RIGHTS = ON_FILES;
export const DIRECTORY_RIGHTS =
  ALL_RIGHTS & ~ON_DIRECTORIES_ONLY & ~union(RIGHTS.SOCK_ACCEPT, RIGHTS.SOCK_SHUTDOWN, RIGHTS.POLL_FD_READWRITE);
export const STDIN_RIGHTS = union(RIGHTS.FD_READ, RIGHTS.FD_FDSTAT_SET_FLAGS, RIGHTS.FD_FILESTAT_GET, RIGHTS.POLL_FD_READWRITE);
export const STDOUT_RIGHTS = union(
  RIGHTS.FD_WRITE,
  RIGHTS.FD_FDSTAT_SET_FLAGS,
  RIGHTS.FD_FILESTAT_GET,
  RIGHTS.POLL_FD_READWRITE,
  RIGHTS.FD_SYNC,
  RIGHTS.FD_DATASYNC,
);
export const withoutWriting = (rights: bigint): bigint => rights & ~WRITING;

/** The standard streams are pipes, for which preview 1 has no type. */
export const FILETYPE = { UNKNOWN: 0, DIRECTORY: 3, REGULAR_FILE: 4, SYMBOLIC_LINK: 7 } as const;
export const FDFLAGS = { APPEND: 1, DSYNC: 2, NONBLOCK: 4, RSYNC: 8, SYNC: 16 } as const;
export const OFLAGS = { CREAT: 1, DIRECTORY: 2, EXCL: 4, TRUNC: 8 } as const;
export const FSTFLAGS = { ATIM: 1, ATIM_NOW: 2, MTIM: 4, MTIM_NOW: 8 } as const;
export const LOOKUP_SYMLINK_FOLLOW = 1;
export const CLOCK = { REALTIME: 0, MONOTONIC: 1, PROCESS_CPUTIME: 2, THREAD_CPUTIME: 3 } as const;

/** A call that fails with an errno of the specification. Thrown inside the implementation, never seen by the guest as an exception. */
export class WasiError extends Error {
  readonly errno: number;
  constructor(errno: keyof typeof ERRNO) {
    super(errno);
    this.errno = ERRNO[errno];
  }
}
