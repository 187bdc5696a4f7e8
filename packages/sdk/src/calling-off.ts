/** A caller's signal: before anything is ordered it ends the call, and nothing was held. */
import { AbortedError } from "./errors.ts";
import { onAbort } from "./on-abort.ts";

export function assertWanted(signal: AbortSignal | undefined): void {
  if (signal?.aborted) throw new AbortedError(signal.reason);
}

/** Ends when its signal is given, whatever is under way; for what orders nothing. */
export async function unlessOff<T>(signal: AbortSignal | undefined, doing: Promise<T>): Promise<T> {
  if (!signal) return doing;
  doing.catch(() => {});
  assertWanted(signal);
  const { promise: off, reject } = Promise.withResolvers<never>();
  const undo = onAbort(signal, () => reject(new AbortedError(signal.reason)));
  try {
    return await Promise.race([doing, off]);
  } finally {
    undo();
  }
}
