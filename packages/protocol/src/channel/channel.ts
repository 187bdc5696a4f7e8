/**
 * The end-to-end channel of a lease: Noise IK (noiseprotocol.org, revision 34) between the keys inside the embedded order and offer,
 * prologue = the purchase order's id. The broker only passes ciphertext. Messages are a JSON header and a body, cut into Noise packets, of
 * which no more than a window is on its way: whoever does not use what comes stops who sends.
 * Who controls the inputs: whoever holds the other static key; before the handshake ends, anyone.
 */
import { channelCrypto } from "#system";
import { bytesOfHex, parseUtf8, toHex, utf8 } from "../bytes.ts";
import type { Held, MemoryShare } from "../link/memory-share.ts";
import type { Pipe } from "../link/pipe.ts";
import type { ChannelKeyPair } from "../system/system.ts";
import { MESSAGE_BYTES_MAX, parseChannelHeader, type ChannelHeader } from "./channel-messages.ts";
import { NoiseInitiator, NoiseResponder, type DirectionKeys } from "./noise.ts";
import { Incoming, LAST, MORE, Outgoing, PACKET_BYTES_MAX, Sealer, USED } from "./packets.ts";

/** An X25519 key pair; from a secret or fresh. */
export const channelKeyPair = (secretKey?: Uint8Array): ChannelKeyPair => channelCrypto.keyPair(secretKey);

/** How many bytes may be on their way to whoever has not used them: in its pipe, the broker's memory, or waiting for its turn. */
export const CHANNEL_WINDOW_BYTES = 896 * 1024;
/** Of who does not say how much: as it was before anybody said. */
const WINDOW_BYTES_UNSAID = 512 * 1024;
/** A message whose beginning is this long is taken up while it comes: it is kept until it is whole. */
const TAKEN_UP_BYTES = WINDOW_BYTES_UNSAID / 2;
/** Small messages that nobody waited with; more of them wait for no reader. */
const QUEUED_BYTES_MAX = 2 * 1024 * 1024;

type Handler<H> = (header: H, body: Uint8Array) => void | Promise<void>;
/** Null where it is no message at all. */
type Parse<H> = (text: string) => H | null;

/** Of a lease's customer and its server; or, with headers of their own, of two others. */
export interface Channel<H = ChannelHeader> {
  /** Resolves when the message was handed over, or never will be; whoever sends much waits for it. */
  send(header: H, body?: Uint8Array): Promise<void>;
  /**
   * A message's bytes lie in memory of its own, which is the handler's. Messages come one after the other, each when the last was used: the
   * other side sends no more than a window ahead of that. Those that came before anybody listened wait.
   */
  onMessage(handler: Handler<H>): void;
  /** The other side has used something that it was sent. */
  onUsed(handler: () => void): void;
  /** Called also of one that has closed. */
  onClose(handler: (why: string) => void): void;
  close(): void;
}

function number32(value: number): Uint8Array {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setUint32(0, value);
  return bytes;
}

/**
 * How far ahead whoever said this may be, as its other end lets: the first four bytes of what it said in its handshake, which whoever does
 * not know them leaves unread.
 */
function windowOf(said: Uint8Array): number {
  if (said.length < 4) return WINDOW_BYTES_UNSAID;
  return Math.min(CHANNEL_WINDOW_BYTES, new DataView(said.buffer, said.byteOffset).getUint32(0));
}

/** A channel whose handshake is done. */
export class SecureChannel<H> implements Channel<H> {
  readonly #parse: Parse<H>;
  readonly #pipe: Pipe;
  readonly #sealer: Sealer;
  readonly #outgoing = new Outgoing();
  readonly #incoming: Incoming;
  readonly #held: Held | undefined;
  /** How far this side may be ahead. */
  readonly #window: number;
  /** Sent, and not used by the other side. */
  #ahead = 0;
  /** Come, and not used here. */
  #unused = 0;
  /** Of the message that comes, what is used when it was handed on. */
  #toUse = 0;
  #listen!: () => void;
  /** What came is handed on in turn, once somebody listens. */
  #turn = new Promise<void>((resolve) => (this.#listen = resolve));
  #handler!: Handler<H>;
  #used: () => void = () => {};
  #closed: (why: string) => void = () => {};
  #why = "the link went down";
  #open = true;

  /** `said`: what the other side said in its handshake. */
  constructor(pipe: Pipe, keys: DirectionKeys, parse: Parse<H>, memory?: MemoryShare, said: Uint8Array = new Uint8Array(0)) {
    this.#parse = parse;
    this.#pipe = pipe;
    this.#sealer = new Sealer(keys.rx);
    this.#incoming = new Incoming(keys.tx);
    this.#window = windowOf(said);
    this.#held = memory?.hold(() => this.#fail("there is no room for what waits in this channel"));
    pipe.onMessage((packet) => this.#receive(packet));
    pipe.onClose(() => this.#end());
  }

  send(header: H, body: Uint8Array = new Uint8Array(0)): Promise<void> {
    if (!this.#open) return Promise.resolve();
    if (this.#outgoing.bytes > QUEUED_BYTES_MAX) {
      this.#fail("the other side does not take what it is sent");
      return Promise.resolve();
    }
    const head = utf8(JSON.stringify(header));
    const length = number32(head.length);
    return new Promise((sent) => {
      this.#outgoing.add([length, head, body], sent);
      if (this.#held && !this.#held.add(length.length + head.length + body.length))
        this.#fail("there is no room for what waits in this channel");
      this.#flush();
    });
  }

  /** Hands over as much as the window lets. */
  #flush(): void {
    while (this.#open && this.#ahead < this.#window) {
      const next = this.#outgoing.next();
      if (!next) return;
      const { pieces, length, sent } = next;
      this.#held?.drop(length);
      this.#ahead += length;
      this.#pipe.send(this.#sealer.seal(sent ? LAST : MORE, pieces));
      sent?.();
    }
  }

  #receive(packet: string | Uint8Array): void {
    if (typeof packet === "string") return this.#fail("a text message on a channel");
    let opened: ReturnType<Incoming["open"]>;
    try {
      opened = this.#incoming.open(packet);
    } catch {
      return this.#fail("a packet that does not decrypt");
    }
    if (opened.what === USED) this.#otherUsed(opened.count);
    else this.#take(opened.length, opened.what === MORE);
  }

  #otherUsed(count: Uint8Array): void {
    const bytes = count.length === 4 ? new DataView(count.buffer, count.byteOffset).getUint32(0) : 0;
    if (bytes === 0 || bytes > this.#ahead) return this.#fail("more was used than was sent");
    this.#ahead -= bytes;
    this.#used();
    this.#flush();
  }

  #take(length: number, hasMore: boolean): void {
    this.#unused += length;
    if (this.#unused > CHANNEL_WINDOW_BYTES + PACKET_BYTES_MAX) return this.#fail("more was sent than was asked for");
    if (this.#incoming.size > MESSAGE_BYTES_MAX) return this.#fail("a message over the size limit");
    if (this.#held && !this.#held.add(length)) return this.#fail("there is no room for what waits in this channel");
    if (this.#incoming.size > TAKEN_UP_BYTES) this.#use(length);
    else this.#toUse += length;
    if (hasMore) return;
    const message = this.#incoming.take();
    const toUse = this.#toUse;
    this.#toUse = 0;
    this.#turn = this.#turn.then(async () => {
      await this.#hand(message);
      this.#held?.drop(message.length);
      this.#use(toUse);
    });
  }

  /** So much more may come. */
  #use(bytes: number): void {
    this.#unused -= bytes;
    if (!this.#open) return;
    this.#pipe.send(this.#sealer.seal(USED, [number32(bytes)]));
  }

  async #hand(message: Uint8Array): Promise<void> {
    if (!this.#open) return;
    if (message.length < 4) return this.#fail("a message without a header");
    const headLength = new DataView(message.buffer, message.byteOffset).getUint32(0);
    const header = headLength <= message.length - 4 ? this.#parse(parseUtf8(message.subarray(4, 4 + headLength)) ?? "") : null;
    if (!header) return this.#fail("a message with an unknown header");
    try {
      await this.#handler(header, message.subarray(4 + headLength));
    } catch (error) {
      this.#fail(error instanceof Error ? error.message : String(error));
    }
  }

  #fail(why: string): void {
    if (this.#open) this.#why = why;
    this.close();
  }

  #end(): void {
    if (!this.#open) return;
    this.#open = false;
    this.#outgoing.end();
    this.#held?.end();
    this.#closed(this.#why);
  }

  onMessage(handler: Handler<H>): void {
    this.#handler = handler;
    this.#listen();
  }

  onUsed(handler: () => void): void {
    this.#used = handler;
  }

  onClose(handler: (why: string) => void): void {
    this.#closed = handler;
    if (!this.#open) handler(this.#why);
  }

  close(): void {
    this.#pipe.close();
  }
}

/** Throws where a text comes instead of a handshake's packet. */
function handshakeOf(message: string | Uint8Array): Uint8Array {
  if (typeof message === "string") throw new Error("a text message before the handshake");
  return message;
}

/** The customer's end. Rejects when the pipe closes first or the answer is not by `serverKey`. */
export const initiateChannel = (pipe: Pipe, own: ChannelKeyPair, serverKey: string, purchaseOrderId: string): Promise<Channel> =>
  initiateWith(parseChannelHeader, pipe, own, serverKey, purchaseOrderId);

/** The beginning end of a channel about a lease whose messages have headers of their own. */
export function initiateWith<H>(parse: Parse<H>, pipe: Pipe, own: ChannelKeyPair, otherKey: string, lease: string): Promise<Channel<H>> {
  return new Promise((resolve, reject) => {
    const noise = new NoiseInitiator(own, bytesOfHex(otherKey), bytesOfHex(lease));
    pipe.onClose(() => reject(new Error("the channel was closed before it was ready")));
    pipe.onMessage((message) => {
      try {
        const { payload, keys } = noise.finish(handshakeOf(message));
        resolve(new SecureChannel(pipe, keys, parse, undefined, payload));
      } catch (cause) {
        pipe.close();
        reject(new Error("the server's end of the channel has another key than its offer", { cause }));
      }
    });
    pipe.send(noise.hello(number32(CHANNEL_WINDOW_BYTES)));
  });
}

/** The server's end: answers only to `customerKey`; anyone else is cut off without a word. What waits in it counts in `memory`. */
export const respondChannel = (
  pipe: Pipe,
  own: ChannelKeyPair,
  customerKey: string,
  purchaseOrderId: string,
  ready: (channel: Channel) => void,
  memory?: MemoryShare,
): void =>
  respondWith(parseChannelHeader, pipe, { own, otherKey: customerKey, lease: purchaseOrderId, ready, ...(memory ? { memory } : {}) });

interface Answering<H> {
  own: ChannelKeyPair;
  /** The only one that is answered. */
  otherKey: string;
  lease: string;
  ready(channel: Channel<H>): void;
  memory?: MemoryShare;
}

/** The answering end of a channel about a lease whose messages have headers of their own. */
export function respondWith<H>(parse: Parse<H>, pipe: Pipe, { own, otherKey, lease, ready, memory }: Answering<H>): void {
  const noise = new NoiseResponder(own, bytesOfHex(lease));
  pipe.onMessage((message) => {
    try {
      const { payload, other } = noise.hear(handshakeOf(message));
      if (toHex(other) !== otherKey) throw new Error("not the order's key");
      const { message: answer, keys } = noise.answer(number32(CHANNEL_WINDOW_BYTES));
      pipe.send(answer);
      ready(new SecureChannel(pipe, keys, parse, memory, payload));
    } catch {
      pipe.close();
    }
  });
}

export type { ChannelKeyPair } from "../system/system.ts";
export type { ByteDuplex, ByteSource } from "./byte-streams.ts";
export { Tunnel } from "./tunnel.ts";
export { FRAME_BYTES_MAX, Frames, NO_SHELL, SHELL_FULL, WholeFrames, frame, type Frame } from "./shell-frames.ts";
export { Turns } from "./turns.ts";
export {
  CHANNEL_KINDS,
  MESSAGE_BYTES_MAX,
  PART_BYTES_MAX,
  TUNNEL_WINDOW_BYTES,
  VM_REQUESTS,
  WANTED_BYTES,
  WANTS_UNDER_WAY_MAX,
  parseChannelHeader,
  zInputTree,
  zTree,
  type VmRequest,
  type ChannelHeader,
  type ChannelMount,
  type InputEntry,
  type InputTree,
  type SegmentInput,
  type Unreadable,
} from "./channel-messages.ts";
