/**
 * A guest's process takes from itself, for good, what it needs no more: calls of the kernel (seccomp.ts), and resources beyond its job's
 * (bounds.ts). By C functions, which koffi's native part calls. Who controls the inputs: the daemon (limits).
 */
import type { Bounds } from "./bounds.ts";
import { loadKoffi } from "./koffi.ts";
import { mappedBy } from "./mapped.ts";
import { isMachine, seccompFilter } from "./seccomp.ts";

/** Tells the worker to hold itself, where the kernel was seen to let it. */
export const HOLD = "hold";

type Syscall = (number: number, a: number, b: number, c: Uint8Array | null, d: Uint8Array | null) => number;

const NUMBERS = {
  x64: { prctl: 157, seccomp: 317, prlimit64: 302, exitGroup: 231 },
  arm64: { prctl: 167, seccomp: 277, prlimit64: 261, exitGroup: 94 },
} as const;
const PR_SET_NO_NEW_PRIVS = 38;
const SECCOMP_SET_MODE_FILTER = 1;
/** Every thread at once: V8 has started some by now. */
const SECCOMP_FILTER_FLAG_TSYNC = 1;
const RLIMIT_FSIZE = 1;
const RLIMIT_DATA = 2;
const INSTRUCTION_BYTES = 8;

/** The lower of what is wanted and what there is: nobody here may raise a limit (struct rlimit64: soft, then hard). */
function lowerLimit(prlimit: (resource: number, limit: Uint8Array | null, old: Uint8Array | null) => void, resource: number, most: number) {
  const limit = Buffer.alloc(16);
  prlimit(resource, null, limit);
  const hard = limit.readBigUInt64LE(8);
  const lower = BigInt(most) < hard ? BigInt(most) : hard;
  limit.writeBigUInt64LE(lower, 0);
  limit.writeBigUInt64LE(lower, 8);
  prlimit(resource, limit, null);
}

export interface Held {
  /** To what a job may use. */
  limit(bounds: Pick<Bounds, "fileBytesMax" | "dataBytesMax">): void;
  /** At once: what Node takes down when it exits needs its ring, which it has no more. What was to be written has been. */
  exit(code: number): void;
  /** All of a file, without a copy where that can be (mapped.ts). */
  map(file: string): Uint8Array;
}

/** Installs the filter. Throws where this machine or kernel has none. */
export function hold(): Held {
  const { arch } = process;
  if (!isMachine(arch)) throw new Error(`there is no filter of kernel calls for ${arch}`);
  const numbers = NUMBERS[arch];
  const koffi = loadKoffi();
  const syscall = koffi.load(null).func<Syscall>("long syscall(long, long, long, void *, void *)");
  const must = (what: string, came: number): void => {
    if (came !== 0) throw new Error(`the kernel refuses ${what} (errno ${koffi.errno()}, answer ${came})`);
  };
  const filter = seccompFilter(arch);
  const program = Buffer.alloc(16); // struct sock_fprog
  program.writeUInt16LE(filter.length / INSTRUCTION_BYTES, 0);
  program.writeBigUInt64LE(koffi.address(filter), 8);
  must("to let go of privileges", syscall(numbers.prctl, PR_SET_NO_NEW_PRIVS, 1, null, null));
  must("a filter of calls (seccomp)", syscall(numbers.seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, program, null));
  const prlimit = (resource: number, limit: Uint8Array | null, old: Uint8Array | null): void =>
    must("a limit", syscall(numbers.prlimit64, 0, resource, limit, old));
  return {
    limit({ fileBytesMax, dataBytesMax }) {
      lowerLimit(prlimit, RLIMIT_FSIZE, fileBytesMax);
      lowerLimit(prlimit, RLIMIT_DATA, dataBytesMax);
    },
    map: mappedBy(koffi),
    exit: (code) => void syscall(numbers.exitGroup, code, 0, null, null),
  };
}
