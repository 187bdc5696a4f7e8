/**
 * A large file that is looked into and not kept: as the kernel has it in its memory, shared with all who map it, in place of a copy of each
 * process's own. For files that nobody writes to in place: the kernel ends a process that looks behind the end of one that was cut off
 * meanwhile. What is mapped stays as long as the process does.
 */
import { readWhole } from "./files.ts";
import type { Koffi } from "./koffi.ts";
import { closeSync, fstatSync, openSync } from "./of-node.ts";

const PROT_READ = 1;
/** MAP_PRIVATE, and MAP_POPULATE: all of its pages at once in place of a fault for each few. The same on both machines. */
const FLAGS = 0x2 | 0x80_00;
/** MAP_FAILED, as it is read here. */
const FAILED = 2n ** 64n - 1n;
/** A page at the least: an empty file cannot be mapped. */
const MAPPED_FROM_BYTES = 64 * 1024;

type Mmap = (at: null, bytes: number, protection: number, flags: number, fd: number, from: number) => bigint | null;

/** Whoever writes to what it returns ends the process. A file that cannot be mapped is read. */
export function mappedBy({ load, view }: Pick<Koffi, "load" | "view">): (file: string) => Uint8Array {
  const mmap = load(null).func<Mmap>("void *mmap(void *, size_t, int, int, int, long)");
  return (file) => {
    const fd = openSync(file, "r");
    try {
      const { size } = fstatSync(fd);
      const at = size < MAPPED_FROM_BYTES ? null : mmap(null, size, PROT_READ, FLAGS, fd, 0);
      return at === null || BigInt.asUintN(64, at) === FAILED ? readWhole(file) : new Uint8Array(view(at, size));
    } finally {
      closeSync(fd);
    }
  };
}
