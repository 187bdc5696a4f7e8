/**
 * The outward link of a daemon or a customer: logs in by signing the broker's challenge, reconnects with growing, jittered waits,
 * re-sends byte for byte what was not answered, and carries channels. Nothing that the broker says here is believed without a signature.
 */
import { clockWasSet, clockBetween, type ClockReading } from "@xenoservers/market";
import { letGo, toHex } from "../bytes.ts";
import type { Crypto } from "../crypto.ts";
import type { Envelope } from "../documents/parts.ts";
import { parseRefusal, refuse, type Refusal } from "../errors.ts";
import { ChannelPipe } from "./channel-pipe.ts";
import { REPLACED } from "./closing.ts";
import {
  DEFAULT_BEAT,
  PROTOCOL_VERSION,
  channelMessage,
  parseChannelMessage,
  parseMessage,
  zFromBroker,
  type Beat,
  type Documents,
  type FromBroker,
  type MarketInfo,
  type ToBroker,
} from "./messages.ts";
import type { Pipe, Timers } from "./pipe.ts";

export type MeasuredClock = NonNullable<Extract<FromBroker, { t: "welcome" }>["clock"]>;
export type LinkAnswer = { ok: true; answer: Record<string, unknown> } | Refusal;
export type LinkEvent = Extract<FromBroker, { t: "event" }>["event"];

export interface LinkOptions {
  connect(): Promise<Pipe>;
  timers: Timers;
  crypto: Crypto;
  /** Signs a login document for this challenge; throws when the market is not the pinned one. */
  login(challenge: string, market: MarketInfo): Envelope;
  /** `clock`: this end's as the broker measured it, where this end is a server. */
  onUp?(live: Documents, market: MarketInfo, clock: MeasuredClock | null): void;
  /** Why, in words; the other end's where it gave some. */
  onDown?(why: string): void;
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
/** A clock that drifts is not measured anew; one that was set is. */
const CLOCK_SET_MS = 1_000;

interface Submission {
  ref: number;
  envelope: Envelope;
  delivery: Envelope | undefined;
  waits: boolean;
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
  #beat: Beat = DEFAULT_BEAT;
  /** Beats since anything was heard. They are counted, not timed: the clock may be set at any moment. */
  #missed = 0;
  /** When the ping that waits for its pong was sent. */
  #pingedAt: number | null = null;
  /** This end's clock as it was when it logged in. */
  #clock: ClockReading | null = null;

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
  submit(envelope: Envelope, delivery?: Envelope, waits = false): Promise<LinkAnswer> {
    if (this.#stopped) return Promise.resolve(refuse("unavailable", { why: "the link was closed" }));
    return new Promise((done) => {
      const submission = { ref: this.#nextRef++, envelope, delivery, waits, done };
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
      (bytes) => {
        this.#pipe?.send(channelMessage(session, bytes));
        letGo(bytes);
      },
      () => {
        this.#channels.delete(session);
        if (this.#up) this.#send({ t: "channel-close", session });
      },
    );
    this.#channels.set(session, channel);
    return channel;
  }

  #sendSubmission({ ref, envelope, delivery, waits }: Submission): void {
    this.#send({ t: "submit", ref, envelope, ...(delivery ? { delivery } : {}), ...(waits ? { waits } : {}) });
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
    this.#beat = DEFAULT_BEAT;
    this.#missed = 0;
    this.#pingedAt = null;
    pipe.onMessage((message) => {
      if (pipe === this.#pipe) this.#receive(message);
    });
    pipe.onClose((why) => {
      if (pipe === this.#pipe) this.#lost(why || "the connection ended");
    });
    this.#watch();
  }

  #watch(): void {
    const { timers } = this.#options;
    const { everyMs, missedMax } = this.#beat;
    this.#cancelTimer();
    this.#cancelTimer = timers.after(everyMs, () => {
      if (this.#missed >= missedMax) return this.#drop(`nothing was heard from the broker in ${missedMax} beats of ${everyMs} ms`);
      this.#missed++;
      if (this.#up) this.#ping();
      this.#watch();
    });
  }

  #ping(): void {
    this.#pingedAt ??= this.#options.timers.now();
    this.#send({ t: "ping" });
  }

  /** Whoever hangs does not answer a goodbye either: the link is down now. */
  #drop(why: string): void {
    const pipe = this.#pipe;
    this.#lost(why);
    if (pipe?.drop) pipe.drop();
    else pipe?.close();
  }

  /** A clock that was set since it was measured is measured anew, by logging in. */
  #compareClock(now: number): void {
    const [pingedAt, heardAt] = [this.#pingedAt, this.#options.timers.now()];
    this.#pingedAt = null;
    if (pingedAt === null || this.#clock === null) return;
    // read from the other side: how far the broker's is behind is how far this one is ahead
    const { offsetMs, errorMs } = clockBetween(now, pingedAt, heardAt);
    if (clockWasSet(this.#clock, { offsetMs: -offsetMs, errorMs }, CLOCK_SET_MS)) this.#drop("this machine's clock was set");
  }

  #lost(why: string): void {
    this.#cancelTimer();
    this.#pipe = null;
    const wasUp = this.#up;
    this.#up = false;
    for (const channel of [...this.#channels.values()]) channel.lost();
    this.#channels.clear();
    if (wasUp) this.#options.onDown?.(why);
    // two machines with one key would else take the link from each other several times a second
    if (why === REPLACED) this.#waitMs = WAIT_MAX_MS;
    this.#retry();
  }

  #retry(): void {
    if (this.#stopped) return;
    const { timers } = this.#options;
    this.#cancelTimer = timers.after(this.#waitMs * (0.5 + timers.random()), () => void this.#connect());
    this.#waitMs = Math.min(this.#waitMs * 2, WAIT_MAX_MS);
  }

  #receive(raw: string | Uint8Array): void {
    this.#missed = 0;
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
        this.#beat = message.beat;
        this.#watch();
        return this.#hello(message.challenge, message.market);
      case "welcome": {
        const market = this.#market;
        if (!market) return; // Nobody is welcome before the challenge.
        this.#up = true;
        this.#clock = message.clock;
        for (const submission of this.#pending.values()) this.#sendSubmission(submission);
        return options.onUp?.(message.live, market, message.clock);
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
        this.#compareClock(message.now);
    }
  }

  #hello(challenge: string, market: MarketInfo): void {
    this.#market = market;
    const { min, max } = market.protocol;
    if (PROTOCOL_VERSION < min || PROTOCOL_VERSION > max)
      return this.#refused(refuse("protocol_version", { ours: PROTOCOL_VERSION, min, max }));
    try {
      const login = this.#options.login(challenge, market);
      this.#send({ t: "hello", protocol: PROTOCOL_VERSION, login, clock: this.#options.timers.now() });
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
  zDocuments,
  zMarketInfo,
  zToBroker,
  DEFAULT_BEAT,
  type Beat,
  type Documents,
  type FromBroker,
  type MarketInfo,
  type ToBroker,
} from "./messages.ts";
export { CLOSINGS, type Closing } from "./closing.ts";
export { MemoryShare, type Held } from "./memory-share.ts";
export { systemTimers, type Pipe, type Timers } from "./pipe.ts";
