/**
 * What an image may take of the daemon while it is put together, however large the disk that was ordered: 500 to 700 bytes an entry in
 * memory (measured: 0.2 GiB at 100,000 entries and 0.65 GiB at a million), and that of one large image at a time. Data is never in memory.
 * Who controls the inputs: the customer.
 */

const MIB = 1024 * 1024;

/** Entries of all layers together, and pieces of files beyond the first of each. */
export const ENTRIES_MAX = 1_000_000;
/** Names, targets and attributes of all layers together; and once more the paths at which they stand, links followed. */
export const TEXT_BYTES_MAX = 64 * MIB;
/** Parts of links' targets, for all paths of an image together: each could lead through forty long ones. */
export const LED_MAX = 10_000_000;
/** Attributes that files have where hard links state others again: each link has a file's gone through. */
export const RESTATED_MAX = 2_000_000;
/** Folders that no layer lists and that paths of others need: one entry's path may need two thousand. */
export const MADE_MAX = 100_000;
/** With more entries an image waits until no other such is put together. */
const LARGE = 100_000;

let last: Promise<void> = Promise.resolve();

/** Does the work when no other large image is worked on; at once where this one is not large. Throws where it is called off meanwhile. */
export async function inTurn<T>(entries: number, signal: AbortSignal | undefined, work: () => Promise<T>): Promise<T> {
  if (entries <= LARGE) return work();
  const before = last;
  const { promise: done, resolve } = Promise.withResolvers<void>();
  last = before.then(() => done);
  try {
    await Promise.race([before, calledOff(signal)]);
    signal?.throwIfAborted();
    return await work();
  } finally {
    resolve();
  }
}

/** Never, where nobody calls it off. */
const calledOff = (signal: AbortSignal | undefined): Promise<never> =>
  new Promise((_, reject) => signal?.addEventListener("abort", () => reject(signal.reason as Error), { once: true }));
