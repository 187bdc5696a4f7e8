/** What a broker keeps in memory for others, in bytes: each use has its own share of one budget, so that none takes another's. */
import { MemoryShare } from "@xenoservers/protocol/link";

const MIB = 1024 * 1024;
/** Of everything that is buffered for others. */
export const MEMORY_MIB = 256;
const MEMORY_MIB_LEAST = 64;

export interface MemoryBudget {
  /** What was sent on links and is not read, and messages that have come by half. */
  links: MemoryShare;
  /** Bodies of requests as they come. */
  bodies: MemoryShare;
  /** Parts of sealed results, in and out. */
  transfers: MemoryShare;
}

/** Throws where it is too little to pass on a sealed result. */
export function memoryBudget(mib: number): MemoryBudget {
  if (mib < MEMORY_MIB_LEAST) throw new Error(`${mib} MiB of memory are too few to pass on results: give ${MEMORY_MIB_LEAST} at least`);
  const of = (share: number): MemoryShare => new MemoryShare(Math.floor(mib * MIB * share));
  return { links: of(3 / 16), bodies: of(2 / 16), transfers: of(11 / 16) };
}
