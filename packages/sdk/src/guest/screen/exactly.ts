/** So many bytes of a stream, no more: what comes behind them stays in it. Who controls the inputs: the stream's other side. */
import type { Readable } from "node:stream";
import { ScreenError } from "./screen-error.ts";

const changed = (stream: Readable, signal: AbortSignal): Promise<void> =>
  new Promise((resolve, reject) => {
    const names = ["readable", "end", "close", "error"] as const;
    const stop = (): void => {
      for (const name of names) stream.off(name, go);
      signal.removeEventListener("abort", late);
    };
    const go = (): void => {
      stop();
      resolve();
    };
    const late = (): void => {
      stop();
      reject(signal.reason as Error);
    };
    for (const name of names) stream.on(name, go);
    signal.addEventListener("abort", late);
  });

/** Throws where the stream ends before they have come, or the signal says that it is late. The caller bounds `count`. */
export async function exactly(stream: Readable, count: number, signal: AbortSignal): Promise<Buffer> {
  const parts: Buffer[] = [];
  for (let left = count; left > 0;) {
    signal.throwIfAborted();
    // what has come is taken at once: a stream that still holds some says over and over that it can be read
    const part = stream.read(Math.min(left, stream.readableLength) || undefined) as Buffer | null;
    if (part === null) {
      if (stream.destroyed || stream.readableEnded) throw stream.errored ?? new ScreenError("the connection ended too early");
      await changed(stream, signal);
      continue;
    }
    const taken = part.subarray(0, left);
    if (taken.length < part.length) stream.unshift(part.subarray(left));
    parts.push(taken);
    left -= taken.length;
  }
  return Buffer.concat(parts);
}
