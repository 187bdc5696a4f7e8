/**
 * The broker's end of one link: what was logged in on it, what it is told and in which order. Who controls the inputs: whoever connects.
 * Bounds: what waits to be looked up for it, what waits to be read by it; a link over either is closed, and whoever was at its other end
 * connects again.
 */
import type { FromBroker, Pipe, Timers } from "@xenoservers/protocol/link";
import type { PartySession } from "./sessions.ts";
import { TokenBucket } from "./token-bucket.ts";

/** A pipe that may say how much of what was sent is not read yet. */
export interface LinkPipe extends Pipe {
  unreadBytes?(): number;
}

const MESSAGES_PER_SECOND = 500;
const WAITING_MAX = 1_000;
export const UNREAD_BYTES_MAX = 32 * 1024 * 1024;

export class Link {
  readonly challenge: string;
  readonly bucket: TokenBucket;
  /** Sessions of its channels. */
  readonly channels = new Set<string>();
  readonly #pipe: LinkPipe;
  session: PartySession | null = null;
  /** Set where a server's own key logged in. */
  server: string | null = null;
  /** Channels whose lease is being looked up. */
  channelsOpening = 0;
  /** Documents whose answer is not there yet. */
  submitting = 0;
  /** A login is looked up once. */
  loggingIn = false;
  /** Lets go of what is held under its key. */
  letGo: () => void = () => {};
  #open = true;
  #waiting = 0;
  #last: Promise<void> = Promise.resolve();

  constructor(pipe: LinkPipe, challenge: string, timers: Timers) {
    this.#pipe = pipe;
    this.challenge = challenge;
    this.bucket = new TokenBucket(MESSAGES_PER_SECOND, MESSAGES_PER_SECOND, timers);
  }

  get open(): boolean {
    return this.#open;
  }

  /** Whether so much waits for its reader that no more is worth sending. */
  get isFull(): boolean {
    return this.unreadBytes > UNREAD_BYTES_MAX;
  }

  /** What it was sent and has not read. */
  get unreadBytes(): number {
    return this.#pipe.unreadBytes?.() ?? 0;
  }

  tell(message: FromBroker): void {
    if (!this.#open) return;
    if (this.isFull) return this.close();
    this.#pipe.send(JSON.stringify(message));
  }

  pass(bytes: Uint8Array): void {
    if (this.#open) this.#pipe.send(bytes);
  }

  /** Tells what has to be looked up first; in the order in which it was asked for. A link whose messages cannot be looked up is closed. */
  tellInOrder(lookUp: () => Promise<readonly FromBroker[]>): void {
    if (!this.#open) return;
    if (this.#waiting >= WAITING_MAX) return this.close();
    this.#waiting++;
    this.#last = this.#last
      .then(async () => {
        if (this.#open) for (const message of await lookUp()) this.tell(message);
      })
      .catch(() => this.close())
      .finally(() => this.#waiting--);
  }

  /** Nothing is heard from it any more, whatever its other end still sends. */
  close(): void {
    this.#open = false;
    this.#pipe.close();
  }

  /** The other end has gone. */
  gone(): void {
    this.#open = false;
  }
}
