/**
 * Long work in steps, so that a daemon goes on with everything else between them: a customer's image of a million files would hold it for
 * half a minute.
 */
import { setImmediate } from "node:timers/promises";

/** Of small things that are done before others have their turn. */
export const STEP_COUNT = 1_000;

/** Does all steps, with everybody's turn between them. */
export async function spread<T>(steps: Generator<void, T>, signal?: AbortSignal): Promise<T> {
  for (let next = steps.next(); ; next = steps.next()) {
    if (next.done === true) return next.value;
    await setImmediate();
    signal?.throwIfAborted();
  }
}

/** Does all steps at once. */
export function atOnce<T>(steps: Generator<void, T>): T {
  let next = steps.next();
  while (next.done !== true) next = steps.next();
  return next.value;
}
