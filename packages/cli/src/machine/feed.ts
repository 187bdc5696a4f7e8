/**
 * What is piped in here goes to a program in a guest, and whole to the next where one was refused before it began. Who controls the input:
 * whoever started this program.
 */
import { Readable, type Writable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { UserError } from "../output/ui.ts";

/** A terminal that goes says so by a signal, too (pass-signals.ts), which says more. */
const isHangup = (source: Readable, error: Error): boolean => "isTTY" in source && "code" in error && error.code === "EIO";
const isOfReading = (error: unknown): error is Error => error instanceof Error && "syscall" in error;

interface Fed {
  stdin: Writable;
  begun: Promise<void>;
}

export class Feed {
  readonly #source: Readable;
  readonly #parts: AsyncIterator<Uint8Array>;
  /** Read, and given to nobody who began: no more than a program is written ahead of what it takes. */
  #held: Uint8Array[] = [];
  #isBegun = false;
  #next: Promise<IteratorResult<Uint8Array>> | null = null;
  /** Who is fed now; who was before reads no more. */
  #to: Fed | null = null;

  constructor(source: Readable) {
    this.#source = source;
    source.on("error", () => {}); // it is what the next part brings
    this.#parts = source[Symbol.asyncIterator]() as AsyncIterator<Uint8Array>;
  }

  async *#bytesFor(program: Fed, before: readonly Uint8Array[]): AsyncGenerator<Uint8Array> {
    yield* before;
    for (;;) {
      const next = (this.#next ??= this.#parts.next());
      const { done, value } = await next;
      if (this.#to !== program || done) return;
      this.#next = null;
      if (!this.#isBegun) this.#held.push(value);
      yield value;
    }
  }

  /**
   * Rejects where the source cannot be read (a folder, a disk that fails), so that no program takes what came for all there is; who has
   * read enough ends it, and it never resolves.
   */
  to(program: Fed): Promise<never> {
    this.#to = program;
    const before = [...this.#held];
    void program.begun.then(() => {
      this.#isBegun = true;
      this.#held = [];
    });
    return new Promise((_, reject) => {
      const from = Readable.from(this.#bytesFor(program, before), { objectMode: false });
      from.once("error", (error) => {
        if (isOfReading(error) && !isHangup(this.#source, error)) reject(new UserError(`standard input cannot be read: ${error.message}`));
      });
      void pipeline(from, program.stdin).catch(() => {}); // the program may have ended before its input
    });
  }
}
