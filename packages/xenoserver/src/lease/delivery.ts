/**
 * How the customer gets a result that is paid on delivery, and the server the word for it: an attached customer that takes the bytes signs;
 * for one that is away, or silent, they are sealed. Nobody waits without a bound. Who controls the inputs: the customer (its word, how fast
 * it takes the bytes).
 */
import { deadlineOf } from "@xenoservers/market";
import type { Envelope } from "@xenoservers/protocol";
import { SEALED_BYTES_MAX, filesOf, sealedSizeOf, type ResultBytes } from "@xenoservers/protocol/sealed";
import type { RunningGuest } from "../drivers/driver.ts";
import type { SignedResult } from "./journal.ts";
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

async function wholeOf(size: number, read: (offset: number) => Promise<Uint8Array>): Promise<Uint8Array | null> {
  const bytes = new Uint8Array(size);
  for (let at = 0; at < size;) {
    const part = (await read(at)).subarray(0, size - at);
    if (part.length === 0) return null;
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}

const READ_BYTES = 1024 * 1024;

/** Every byte of a result, where they are all still here and a broker would keep as many. */
export async function bytesOf(
  guest: Pick<RunningGuest, "readOutput" | "readStream"> | null,
  result: SignedResult,
): Promise<{ ok: true; bytes: ResultBytes } | { ok: false; why: string }> {
  const { tree, stdoutSize, stderrSize } = result;
  const size = sealedSizeOf(tree, stdoutSize, stderrSize);
  if (size > SEALED_BYTES_MAX)
    return { ok: false, why: `its ${size} bytes are more than the broker keeps: only its customer can fetch them` };
  const stream = (name: "stdout" | "stderr", length: number) =>
    wholeOf(length, async (offset) => (await guest?.readStream(name, offset)) ?? new Uint8Array(0));
  const [stdout, stderr] = [await stream("stdout", stdoutSize), await stream("stderr", stderrSize)];
  const files = new Map<string, Uint8Array>();
  for (const [digest, length] of filesOf(tree)) {
    const file = await wholeOf(length, async (offset) => (await guest?.readOutput(digest, offset, READ_BYTES)) ?? new Uint8Array(0));
    if (file) files.set(digest, file);
  }
  if (!stdout || !stderr || files.size < filesOf(tree).size) return { ok: false, why: "not all of its bytes are here" };
  return { ok: true, bytes: { tree, files, stdout, stderr } };
}
