/**
 * The broker's end of one link: what was logged in on it, what it is told and in which order. Who controls the inputs: whoever connects.
 * Bounds: what waits to be looked up for it, what waits to be read by it; a link over either is closed, and whoever was at its other end
 * connects again.
 */
import type { Closing, FromBroker, Pipe } from "@xenoservers/protocol/link";
import type { PartySession } from "./sessions.ts";

/** A pipe that may be a stranger's. */
export interface LinkPipe extends Omit<Pipe, "close"> {
  /** How much of what was sent is not read yet. */
  unreadBytes?(): number;
  /** Sends bytes; `sent` is called when they wait here no more. */
  passOn?(bytes: Uint8Array, sent: () => void): void;
  /** Its other end is known now, and may say longer things. */
  admit?(): void;
  /** Asks before it hears more: for how many ms it should not, and whose turn it takes. */
  heeds?(owedMs: () => number, holder: () => string): void;
  /** Called for each message that the pipe answers by itself. */
  onControl?(handler: () => void): void;
  close(why: Closing): void;
}

const WAITING_MAX = 1_000;
export const UNREAD_BYTES_MAX = 8 * 1024 * 1024;

export class Link {
  readonly challenge: string;
  /** Under whom its bounds by source address are kept. */
  readonly address: string;
  /** Of the request that it began as, for the log. */
  readonly requestId: string;
  /** Sessions of its channels. */
  readonly channels = new Set<string>();
  readonly #pipe: LinkPipe;
  session: PartySession | null = null;
  /** Set where a server's own key logged in. */
  server: string | null = null;
  /** Channels whose lease is being looked up. */
  channelsOpening = 0;
  /** A login is looked up once. */
  loggingIn = false;
  /** Lets go of what is held under its key. */
  letGo: () => void = () => {};
  /** Gives back its places at the door. */
  leave: () => void = () => {};
  /** When it was challenged, in broker time. */
  challengedAt = 0;
  #open = true;
  #waiting = 0;
  #last: Promise<void> = Promise.resolve();

  constructor(pipe: LinkPipe, { address, requestId, challenge }: Pick<Link, "address" | "requestId" | "challenge">) {
    this.#pipe = pipe;
    this.address = address;
    this.requestId = requestId;
    this.challenge = challenge;
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
    if (this.isFull) return this.close("not-reading");
    this.#pipe.send(JSON.stringify(message));
  }

  /** `sent` is called when they wait here no more, where the pipe can tell. */
  pass(bytes: Uint8Array, sent: () => void): void {
    if (!this.#open) return;
    if (this.#pipe.passOn) return this.#pipe.passOn(bytes, sent);
    this.#pipe.send(bytes);
    sent();
  }

  admit(): void {
    this.#pipe.admit?.();
  }

  /** Tells what has to be looked up first; in the order in which it was asked for. A link whose messages cannot be looked up is closed. */
  tellInOrder(lookUp: () => Promise<readonly FromBroker[]>): void {
    if (!this.#open) return;
    if (this.#waiting >= WAITING_MAX) return this.close("not-reading");
    this.#waiting++;
    this.#last = this.#last
      .then(async () => {
        if (this.#open) for (const message of await lookUp()) this.tell(message);
      })
      .catch(() => this.close("unavailable"))
      .finally(() => this.#waiting--);
  }

  /** Nothing is heard from it any more, whatever its other end still sends. */
  close(why: Closing): void {
    this.#open = false;
    this.#pipe.close(why);
  }

  /** The other end has gone. */
  gone(): void {
    this.#open = false;
  }
}
