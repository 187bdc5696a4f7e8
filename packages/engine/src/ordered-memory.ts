/** A module whose memory begins with more than was ordered is refused before its code is read, and alike where it was made before. */
import { PAGE_BYTES } from "./memory-hash.ts";

const inMib = (pages: number): string => `${Math.ceil((pages * PAGE_BYTES) / (1024 * 1024))} MiB`;

/** In words; null where it is not more. */
export const memoryProblem = (initialPages: number, pagesMax: number): string | null =>
  initialPages <= pagesMax ? null : `the module needs ${inMib(initialPages)} of memory before it runs; ${inMib(pagesMax)} were ordered`;

export class NeedsMoreMemory extends Error {}
