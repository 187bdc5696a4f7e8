/**
 * The outward link of a daemon or a customer: logs in by signing the broker's challenge, reconnects with growing, jittered waits,
 * re-sends byte for byte what was not answered, and carries channels. Nothing that the broker says here is believed without a signature.
 */
import { toHex } from "../bytes.ts";
import type { Crypto } from "../crypto.ts";
import type { Envelope } from "../documents/parts.ts";
import { parseRefusal, refuse, type Refusal } from "../errors.ts";
import { ChannelPipe } from "./channel-pipe.ts";
import {
  PROTOCOL_VERSION,
  channelMessage,
  parseChannelMessage,
  parseMessage,
  zFromBroker,
  type Documents,
  type FromBroker,
  type MarketInfo,
  type ToBroker,
} from "./messages.ts";
import type { Pipe, Timers } from "./pipe.ts";

export type LinkAnswer = { ok: true; answer: Record<string, unknown> } | Refusal;
export type LinkEvent = Extract<FromBroker, { t: "event" }>["event"];

export interface LinkOptions {
  connect(): Promise<Pipe>;
  timers: Timers;
  crypto: Crypto;
  /** Signs a login document for this challenge; throws when the market is not the pinned one. */
  login(challenge: string, market: MarketInfo): Envelope;
  onUp?(live: Documents, market: MarketInfo): void;
  onDown?(): void;
  /** The broker said something. */
  onHeard?(): void;
  onDocuments?(documents: Documents): void;
  onEvent?(event: LinkEvent): void;
  onChannel?(lease: string, pipe: Pipe): void;
  /** The broker refused this identity, or it is not the pinned market; the link will not try again. */
  onRefused?(refusal: Refusal): void;
}

const WAIT_FIRST_MS = 200;
const WAIT_MAX_MS = 15_000;
const PING_EVERY_MS = 5_000;
const SILENCE_MAX_MS = 12_000;

interface Submission {
  ref: number;
  envelope: Envelope;
  delivery: Envelope | undefined;
  done: (answer: LinkAnswer) => void;
}

export class LinkClient {
  readonly #options: LinkOptions;
  #pipe: Pipe | null = null;
  #up = false;
  #stopped = false;
  #waitMs = WAIT_FIRST_MS;
  #nextRef = 1;
  #market: MarketInfo | null = null;
  readonly #pending = new Map<number, Submission>();
  readonly #channels = new Map<string, ChannelPipe>();
  #cancelTimer: () => void = () => {};
  #heardAt = 0;

  constructor(options: LinkOptions) {
    this.#options = options;
  }

  get up(): boolean {
    return this.#up;
  }

  start(): void {
    void this.#connect();
  }

  stop(): void {
    this.#stopped = true;
    this.#cancelTimer();
    this.#pipe?.close();
    for (const submission of this.#pending.values()) submission.done(refuse("unavailable", { why: "the link was closed" }));
    this.#pending.clear();
  }

  /**
   * Sends a signed document, a result with its customer's word that it was delivered where there is one; answered once, after any number
   * of reconnects.
   */
  submit(envelope: Envelope, delivery?: Envelope): Promise<LinkAnswer> {
    if (this.#stopped) return Promise.resolve(refuse("unavailable", { why: "the link was closed" }));
    return new Promise((done) => {
      const submission = { ref: this.#nextRef++, envelope, delivery, done };
      this.#pending.set(submission.ref, submission);
      if (this.#up) this.#sendSubmission(submission);
    });
  }

  /** A pipe to the other end of a lease; closed when the link goes down. */
  openChannel(lease: string): Pipe {
    const session = toHex(this.#options.crypto.randomBytes(16));
    const channel = this.#channel(session);
    if (this.#up) this.#send({ t: "channel-open", lease, session });
    else this.#options.timers.after(0, () => channel.lost());
    return channel;
  }

  #channel(session: string): ChannelPipe {
    const channel = new ChannelPipe(
      (bytes) => this.#pipe?.send(channelMessage(session, bytes)),
      () => {
        this.#channels.delete(session);
        if (this.#up) this.#send({ t: "channel-close", session });
      },
    );
    this.#channels.set(session, channel);
    return channel;
  }

  #sendSubmission({ ref, envelope, delivery }: Submission): void {
    this.#send({ t: "submit", ref, envelope, ...(delivery ? { delivery } : {}) });
  }

  #send(message: ToBroker): void {
    this.#pipe?.send(JSON.stringify(message));
  }

  async #connect(): Promise<void> {
    if (this.#stopped) return;
    let pipe: Pipe;
    try {
      pipe = await this.#options.connect();
    } catch {
      this.#retry();
      return;
    }
    if (this.#stopped) {
      pipe.close();
      return;
    }
    this.#pipe = pipe;
    this.#heardAt = this.#options.timers.now();
    pipe.onMessage((message) => {
      if (pipe === this.#pipe) this.#receive(message);
    });
    pipe.onClose(() => {
      if (pipe === this.#pipe) this.#lost();
    });
    this.#watch();
  }

  #watch(): void {
    this.#cancelTimer = this.#options.timers.after(PING_EVERY_MS, () => {
      if (this.#options.timers.now() - this.#heardAt > SILENCE_MAX_MS) this.#pipe?.close();
      else {
        if (this.#up) this.#send({ t: "ping" });
        this.#watch();
      }
    });
  }

  #lost(): void {
    this.#cancelTimer();
    this.#pipe = null;
    const wasUp = this.#up;
    this.#up = false;
    for (const channel of [...this.#channels.values()]) channel.lost();
    this.#channels.clear();
    if (wasUp) this.#options.onDown?.();
    this.#retry();
  }

  #retry(): void {
    if (this.#stopped) return;
    const { timers } = this.#options;
    this.#cancelTimer = timers.after(this.#waitMs * (0.5 + timers.random()), () => void this.#connect());
    this.#waitMs = Math.min(this.#waitMs * 2, WAIT_MAX_MS);
  }

  #receive(raw: string | Uint8Array): void {
    this.#heardAt = this.#options.timers.now();
    if (typeof raw !== "string") {
      const parsed = parseChannelMessage(raw);
      if (parsed) this.#channels.get(parsed.session)?.deliver(parsed.bytes);
      return;
    }
    const message = parseMessage(zFromBroker, raw);
    if (message) this.#handle(message);
  }

  #handle(message: FromBroker): void {
    const options = this.#options;
    options.onHeard?.();
    switch (message.t) {
      case "challenge":
        return this.#hello(message.challenge, message.market);
      case "welcome": {
        const market = this.#market;
        if (!market) return; // Nobody is welcome before the challenge.
        this.#up = true;
        for (const submission of this.#pending.values()) this.#sendSubmission(submission);
        return options.onUp?.(message.live, market);
      }
      case "refused":
        return this.#refused(parseRefusal(message.error));
      case "answer": {
        this.#waitMs = WAIT_FIRST_MS;
        const submission = this.#pending.get(message.ref);
        if (!submission) return;
        this.#pending.delete(message.ref);
        submission.done(message.answer ? { ok: true, answer: message.answer } : parseRefusal(message.error ?? {}));
        return;
      }
      case "documents":
        return options.onDocuments?.(message.documents);
      case "event":
        return options.onEvent?.(message.event);
      case "channel-open":
        return options.onChannel?.(message.lease, this.#channel(message.session));
      case "channel-close":
        this.#channels.get(message.session)?.lost();
        this.#channels.delete(message.session);
        return;
      case "pong":
        // a broker that falls whenever it has welcomed somebody is not asked ever sooner
        this.#waitMs = WAIT_FIRST_MS;
    }
  }

  #hello(challenge: string, market: MarketInfo): void {
    this.#market = market;
    const { min, max } = market.protocol;
    if (PROTOCOL_VERSION < min || PROTOCOL_VERSION > max)
      return this.#refused(refuse("protocol_version", { ours: PROTOCOL_VERSION, min, max }));
    try {
      this.#send({ t: "hello", protocol: PROTOCOL_VERSION, login: this.#options.login(challenge, market) });
    } catch (error) {
      this.#refused(refuse("wrong_origin", { why: error instanceof Error ? error.message : String(error) }));
    }
  }

  #refused(refusal: Refusal): void {
    this.stop();
    this.#options.onRefused?.(refusal);
  }
}

export {
  PROTOCOL_VERSION,
  channelMessage,
  parseChannelMessage,
  parseMessage,
  zFromBroker,
  feeToSign,
  pinsOf,
  zMarketInfo,
  zToBroker,
  type Documents,
  type FromBroker,
  type MarketInfo,
  type ToBroker,
} from "./messages.ts";
export { CLOSINGS, type Closing } from "./closing.ts";
export { MemoryShare, type Held } from "./memory-share.ts";
export { systemTimers, type Pipe, type Timers } from "./pipe.ts";
