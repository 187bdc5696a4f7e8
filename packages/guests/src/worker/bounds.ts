/**
 * The most that a guest's process takes of its host, beneath the engine's own limits and above all that these let an honest guest use: it
 * is met by one that broke out of the engine. Who controls the inputs: the customer, within the lease.
 */
import type { WorkerJob } from "./job.ts";

const MIB = 1024 * 1024;

/**
 * What the guest's Node may use of its own heap; guest memory and what files hold are counted on top. More than all that a guest can make
 * it hold within the engine's limits of entries, names, listings and modules, together; a state with all of these is written as one text.
 */
export const HEAP_MIB = { usual: 512, deep: 2_048 } as const;
/** Node itself, the engine, a module's bytes and its machine code. */
const PLATFORM_MIB = 768;
/** V8 has that much at hand when it starts, most of it never touched; as much again for buffers that are copied to grow. */
const DATA_EXTRA_MIB = 3_072;
/** Beside what is bought: the result, where what is kept lies, and a module made ready. */
const FILE_EXTRA_MIB = 320;

export type BoundedJob = Pick<WorkerJob, "memoryMibMax" | "diskMibMax" | "outputMibMax" | "breakpoints">;

export interface Bounds {
  /** Of memory that it touches, files in memory included: also where its own folder lies there. For its control group. */
  memoryBytesMax: number;
  /** Of private memory that is mapped, touched or not (RLIMIT_DATA). */
  dataBytesMax: number;
  /** Of each of the few files that it can write (handing.ts). */
  fileBytesMax: number;
}

export function boundsOf({ memoryMibMax, diskMibMax, outputMibMax, breakpoints }: BoundedJob): Bounds {
  // a state is held beside what it is of
  const bought = (memoryMibMax + 2 * diskMibMax) * (breakpoints ? 2 : 1);
  const memoryMib = bought + HEAP_MIB[breakpoints ? "deep" : "usual"] + PLATFORM_MIB;
  const handedInMib = diskMibMax + outputMibMax + FILE_EXTRA_MIB + (breakpoints ? memoryMibMax : 0);
  return {
    memoryBytesMax: (memoryMib + handedInMib) * MIB,
    dataBytesMax: (memoryMib + bought + DATA_EXTRA_MIB) * MIB,
    // one of them holds all that is kept: states, and what the disk had
    fileBytesMax: (memoryMibMax + 2 * diskMibMax + outputMibMax + FILE_EXTRA_MIB) * MIB,
  };
}
