/**
 * What a registry, or the place where it has people log in, answers: its bytes are taken as they come, and not before somebody wants them.
 * Who controls the inputs: the other side, every byte, and when they come.
 */
import type { IncomingHttpHeaders, IncomingMessage } from "node:http";
import type { Timers } from "@xenoservers/protocol/link";
import { Mishap, askedMsOf } from "./patience.ts";

/** Without a byte. A whole answer has no limit: layers are large, and lines slow. */
export const SILENCE_MS_MAX = 30_000;
/** What comes slower than this while it is waited for comes from no line that anybody has: a byte at a time would never be over. */
export const PACE_MS = 60_000;
const PACE_BYTES_MIN = 60 * 1024;
/** Of what came and was not taken yet; the rest waits in the socket. */
const QUEUED_MAX = 16;
/** What another try may change. */
const AGAIN: ReadonlySet<number> = new Set([408, 425, 429, 500, 502, 503, 504]);

export const isBusy = (status: number): boolean => AGAIN.has(status);

/** What OpenSSL says of it within Node's words, which are a line of its source; null where it says nothing. */
export const openSslReason = (error: Error): string | null => /:SSL routines:[^:]*:([^:]+):/.exec(error.message)?.[1] ?? null;

/** In words, as Node has them: of an error of several places there is a code alone. */
export function causeOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const reason = openSslReason(error);
  if (reason !== null) return reason;
  return error.message === "" && "code" in error ? String(error.code) : error.message;
}

/** It comes, and so slowly that it is no progress. */
export class TooSlow extends Mishap {}

export class Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  /** The place that gave it, in the end. */
  readonly at: URL;
  readonly #response: IncomingMessage;
  readonly #timers: Timers;
  readonly #queue: Buffer[] = [];
  #over: { error: Error | null } | null = null;
  #isWaitedFor = false;
  #wake = (): void => {};

  /** Listens from the first moment: a stream of Node's throws away what nobody has taken when it breaks off. */
  constructor(response: IncomingMessage, at: URL, timers: Timers) {
    this.status = response.statusCode ?? 0;
    this.headers = response.headers;
    this.at = at;
    this.#response = response;
    this.#timers = timers;
    response.on("data", (chunk: Buffer) => {
      if (this.#queue.push(chunk) >= QUEUED_MAX) response.pause();
      this.#wake();
    });
    response.once("end", () => this.#end(null));
    response.on("error", (error) => this.#end(new Mishap(`${at.host} broke off (${causeOf(error)})`)));
    response.once("close", () => this.#end(new Mishap(`${at.host} broke off`)));
  }

  #end(error: Error | null): void {
    this.#over ??= { error };
    this.#wake();
  }

  /** Nobody wants the rest. */
  drop(): void {
    this.#response.destroy();
  }

  /** To the last that came. Throws Mishap where they stop, TooSlow where they hardly come. */
  async *chunks(): AsyncGenerator<Buffer> {
    let came = 0;
    let stopWatch = (): void => {};
    const watch = (before: number): void => {
      stopWatch = this.#timers.after(PACE_MS, () => {
        if (this.#isWaitedFor && came - before < PACE_BYTES_MIN) this.#end(new TooSlow(`${this.at.host} sends almost nothing`));
        else watch(came);
      });
    };
    watch(0);
    try {
      for (;;) {
        const chunk = this.#queue.shift();
        if (chunk) {
          came += chunk.length;
          yield chunk;
          if (this.#queue.length === 0) this.#response.resume();
        } else if (this.#over) {
          if (this.#over.error) throw this.#over.error;
          return;
        } else await this.#more();
      }
    } finally {
      stopWatch();
      this.drop();
    }
  }

  async #more(): Promise<void> {
    const woken = new Promise<void>((resolve) => (this.#wake = resolve));
    const came = this.#timers.after(SILENCE_MS_MAX, () => this.#end(new Mishap(`${this.at.host} sends nothing any more`)));
    this.#isWaitedFor = true;
    await woken;
    this.#isWaitedFor = false;
    came();
  }

  /** All of it; null where it is larger than that. */
  async whole(bytesMax: number): Promise<Buffer | null> {
    const chunks: Buffer[] = [];
    let size = 0;
    for await (const chunk of this.chunks()) {
      size += chunk.length;
      if (size > bytesMax) return null;
      chunks.push(chunk);
    }
    return Buffer.concat(chunks);
  }

  /** Throws Mishap where it says that another try may go well; `words`: what it says of that. */
  throwIfBusy(words = ""): void {
    if (!isBusy(this.status)) return;
    this.drop();
    const says = this.status === 429 ? "has had too many requests (429)" : `answers ${this.status}`;
    throw new Mishap(`${this.at.host} ${says}${words}`, askedMsOf(this.headers["retry-after"], this.#timers.now()));
  }
}
