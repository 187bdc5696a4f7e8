/** What is piped in here goes to a program in a guest. Who controls the input: whoever started this program. */
import type { Readable, Writable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { UserError } from "../output/ui.ts";

/** A terminal that goes says so by a signal, too (pass-signals.ts), which says more. */
const isHangup = (source: Readable, error: Error): boolean => "isTTY" in source && "code" in error && error.code === "EIO";
const isOfReading = (error: unknown): error is Error => error instanceof Error && "syscall" in error;

/**
 * Rejects where the source cannot be read (a folder, a disk that fails), so that no program takes what came for all there is; who has read
 * enough ends it, and it never resolves.
 */
export function feed(source: Readable, program: Writable): Promise<never> {
  return new Promise((_, reject) => {
    source.once("error", (error) => {
      if (isOfReading(error) && !isHangup(source, error)) reject(new UserError(`standard input cannot be read: ${error.message}`));
    });
    void pipeline(source, program).catch(() => {}); // the program may have ended before its input
  });
}
