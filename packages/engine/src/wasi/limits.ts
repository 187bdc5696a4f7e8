/**
 * Every limit of a guest's file system and descriptors, and what each thing in it takes of the disk that was ordered. A guest meets them
 * at its own calls, as on Linux; nothing behind the engine (the worker's result, the channel's schemas, the customer's tree reader) may
 * be narrower than they are (test/engine/limits.test.ts). protocol/src/job-fit.ts repeats the ones that a customer meets before it
 * orders.
 *
 *   what                                        at most                                  what the guest is told
 *   a name                                      255 bytes (NAME_MAX)                     ENAMETOOLONG
 *   a path in a call                            4095 bytes (PATH_MAX without its NUL)    ENAMETOOLONG
 *   the absolute path of anything in the tree   4095 bytes, so about 2000 levels         ENAMETOOLONG, also where a folder is renamed
 *   a symbolic link's target                    4095 bytes, at least 1, no NUL           ENAMETOOLONG, ENOENT, EILSEQ
 *   symbolic links followed in one path         40 (MAXSYMLINKS)                         ELOOP
 *   names of one file (hard links)              65,000 (as ext4)                         EMLINK
 *   entries: names, and what is open without    100,000, the inputs' included            ENOSPC
 *   all of it, listed for its way back          32 MiB                                   ENOSPC
 *   bytes, counted as below                     the disk that was ordered                ENOSPC; a write stops short first
 *   one file                                    64 GiB                                   EFBIG
 *   open descriptors                            4096                                     EMFILE, before a file is made
 *   listings of folders that are being read     32 MiB                                   ENOMEM
 *   buffers in one read or write                1024 (IOV_MAX)                           EINVAL
 *   standard output and error                   what was ordered                         the job ends, `output-limit`
 *
 * What is counted is what the host's memory holds, from above: a file's bytes in the pieces that they lie in (holes too), every node,
 * every name and link target. A file without a name counts until its last descriptor is closed. The folders at and above a mount's path
 * are the engine's own and cost nothing, so that a job without any disk runs, and is told ENOSPC where it writes.
 */

export const NAME_BYTES_MAX = 255;
export const PATH_BYTES_MAX = 4095;
export const TARGET_BYTES_MAX = 4095;
export const LINKS_FOLLOWED_MAX = 40;
export const HARD_LINKS_MAX = 65_000;
export const ENTRIES_MAX = 100_000;
export const FILE_BYTES_MAX = 64 * 1024 ** 3;
export const DESCRIPTORS_MAX = 4096;
export const VECTORS_MAX = 1024;

/**
 * Of the tree as JSON, the form in which it leaves the worker and travels: names as they are escaped there, and so much more for each
 * entry.
 */
export const TREE_BYTES_MAX = 32 * 1024 * 1024;
export const TREE_ENTRY_BYTES = 128;

/** What a file, folder or link takes besides its name and content. */
export const NODE_BYTES = 1024;
/** What a name takes, and each byte of a name or of a link's target: a string may hold two bytes for each. */
export const ENTRY_BYTES = 128;
export const TEXT_COST = 2;

/** One folder of all the entries that there can be, with the longest names. */
export const LISTINGS_BYTES_MAX = 32 * 1024 * 1024;
export const LISTED_BYTES = 64;

/** Entries that one call looks at for its usual price, and what each more adds, as bytes touched. */
const ENTRIES_FREE = 1024;
const ENTRY_WORK_BYTES = 512;
export const workBytes = (entries: number): number => Math.max(0, entries - ENTRIES_FREE) * ENTRY_WORK_BYTES;

/** Files lie in pieces of this size; the last grows in steps of an eighth. */
export const CHUNK_BYTES = 1024 * 1024;
const STEP_BYTES_MIN = 64;

/** The step of a piece's size around so many bytes: an eighth of the power of two below. */
const stepAt = (bytes: number): number => 1 << (28 - Math.clz32(bytes));

/** What a piece with so many bytes takes. */
export function chunkCapacity(bytes: number): number {
  if (bytes <= 0) return 0;
  if (bytes <= STEP_BYTES_MIN) return STEP_BYTES_MIN;
  const step = stepAt(bytes);
  return Math.ceil(bytes / step) * step;
}

/** What a file of this size takes. */
export function fileCapacity(size: number): number {
  const tail = size % CHUNK_BYTES;
  return size - tail + chunkCapacity(tail);
}

/** The largest file that takes no more than this. */
export function sizeWithin(capacity: number): number {
  const rest = capacity % CHUNK_BYTES;
  if (rest < STEP_BYTES_MIN) return capacity - rest;
  const step = stepAt(rest);
  return capacity - rest + Math.floor(rest / step) * step;
}
