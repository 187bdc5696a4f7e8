/**
 * How the customer gets a result that is paid on delivery, and the server the word for it: an attached customer that takes the bytes signs;
 * for one that is away, or silent, they are sealed. Nobody waits without a bound. Who controls the inputs: the customer (its word, how fast
 * it takes the bytes).
 */
import { deadlineOf } from "@xenoservers/market";
import type { Envelope } from "@xenoservers/protocol";
import { filesOf, type ResultShape } from "@xenoservers/protocol/sealed";
import type { RunningGuest } from "../drivers/driver.ts";
import type { LeaseContext } from "./lease-context.ts";

/** An attached customer that takes no byte for so long is not waited for. */
const PROGRESS_WITHIN_MS = 5_000;
/** Of the grace, what a slow customer may use: a result has to reach the broker before its silence counts. */
const GRACE_SHARE = 0.5;
const MARGIN_MS = 2_000;

/** Waits for the customer's word while the customer goes on taking bytes. */
export class CustomersWord {
  readonly #ctx: Pick<LeaseContext, "world" | "facts">;
  #word: Envelope | null = null;
  #answer: ((word: Envelope | null) => void) | null = null;
  #cancelProgress: () => void = () => {};
  #cancelBound: () => void = () => {};

  constructor(ctx: Pick<LeaseContext, "world" | "facts">) {
    this.#ctx = ctx;
  }

  /** Something came from the customer. */
  progress(): void {
    if (!this.#answer) return;
    this.#cancelProgress();
    this.#cancelProgress = this.#ctx.world.timers.after(PROGRESS_WITHIN_MS, () => this.#conclude());
  }

  said(word: Envelope): void {
    this.#word = word;
    this.#conclude();
  }

  #conclude(): void {
    this.#cancelProgress();
    this.#cancelBound();
    this.#answer?.(this.#word);
    this.#answer = null;
  }

  /** Null where it did not come in time. */
  async wait(): Promise<Envelope | null> {
    if (this.#word) return this.#word;
    const { world, facts } = this.#ctx;
    const { lease } = facts;
    const left = (deadlineOf(lease) ?? Number.MAX_SAFE_INTEGER) - world.timers.now() - MARGIN_MS;
    const boundMs = Math.max(0, Math.min(lease.timings.graceMs * GRACE_SHARE, left));
    return new Promise((resolve) => {
      this.#answer = resolve;
      this.#cancelBound = world.timers.after(boundMs, () => this.#conclude());
      this.progress();
    });
  }

  stop(): void {
    this.#conclude();
  }
}

const READ_BYTES = 1024 * 1024;

/** Bytes of a result that its guest has not any more. */
export class BytesGone extends Error {}

async function* piecesOf(size: number, read: (offset: number) => Promise<Uint8Array | undefined>): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < size;) {
    const piece = (await read(at))?.subarray(0, size - at);
    if (!piece || piece.length === 0) throw new BytesGone("not all of its bytes are here");
    yield piece;
    at += piece.length;
  }
}

/** Every byte of a result as it is sealed: files in the order of the tree, then the streams. Throws BytesGone. */
export async function* bytesOf(
  guest: Pick<RunningGuest, "readOutput" | "readStream"> | null,
  { tree, stdoutSize, stderrSize }: ResultShape,
): AsyncGenerator<Uint8Array> {
  for (const [digest, size] of filesOf(tree)) yield* piecesOf(size, async (offset) => guest?.readOutput(digest, offset, READ_BYTES));
  yield* piecesOf(stdoutSize, async (offset) => guest?.readStream("stdout", offset));
  yield* piecesOf(stderrSize, async (offset) => guest?.readStream("stderr", offset));
}
