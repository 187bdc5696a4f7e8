/**
 * The broker's end of one WebSocket. Who has much unread is not listened to until it reads; who reads nothing for long, or begins a message
 * and does not end it, is cut. All that waits here counts in the memory's share for links. Who controls the inputs: whoever connects, every
 * byte and when it comes.
 */
import type { Duplex } from "node:stream";
import { CLOSINGS, type Closing, type Held, type MemoryShare, type Timers } from "@xenoservers/protocol/link";
import type { WebSocket } from "ws";
import type { LinkPipe } from "./link.ts";

const UNREAD_BYTES_HEARD_MAX = 1024 * 1024;
const STALLED_MS = 30_000;
const HALF_MESSAGE_MS = 30_000;
/** Less than so much of a message weighs no more than a link that says nothing. */
const HALF_BYTES_MIN = 1024;
const REST_MS_MAX = 10_000;

/** A login, which is all that a stranger has to say, is smaller. */
const STRANGERS_BYTES_MAX = 16 * 1024;

/** A frame of a client with so many bytes (RFC 6455 section 5.2). */
const frameBytes = (payload: number): number => payload + (payload < 126 ? 6 : payload < 65_536 ? 8 : 14);

export class SocketPipe implements LinkPipe {
  readonly #socket: WebSocket;
  readonly #timers: Timers;
  readonly #held: Held;
  /** Of a message that is not whole yet. */
  #half = 0;
  #halfSince = 0;
  #lastChunk = 0;
  #admitted = false;
  /** When last something of what waits was taken. */
  #readAt: number;
  #resting: (() => void) | null = null;
  /** Beats since anything came. */
  #missed = 0;
  #control: () => void = () => {};

  constructor(socket: WebSocket, raw: Duplex, memory: MemoryShare, timers: Timers) {
    this.#socket = socket;
    this.#timers = timers;
    this.#readAt = timers.now();
    this.#held = memory.hold(() => this.close("no-room"));
    socket.on("error", () => socket.terminate());
    socket.on("close", () => {
      this.#resting?.();
      this.#held.end();
    });
    // before the WebSocket's own listener, which says what became whole
    raw.prependListener("data", (chunk: Uint8Array) => this.#came(chunk.length));
    socket.on("ping", (data: Buffer) => {
      this.#whole(data.length);
      this.#control();
      this.#send(data, (sent) => socket.pong(data, false, sent));
    });
    socket.on("pong", (data: Buffer) => {
      this.#whole(data.length);
      this.#control();
    });
  }

  unreadBytes(): number {
    return this.#socket.bufferedAmount;
  }

  #came(bytes: number): void {
    this.#missed = 0;
    if (this.#half === 0) this.#halfSince = this.#timers.now();
    this.#half += bytes;
    this.#lastChunk = bytes;
    if (!this.#held.add(bytes)) this.close("no-room");
    else if (!this.#admitted && this.#half > STRANGERS_BYTES_MAX) this.close("not-logged-in");
  }

  admit(): void {
    this.#admitted = true;
  }

  /** A message or control frame is whole; what else came with its end begins the next. */
  #whole(payload: number): void {
    const rest = Math.min(this.#half - frameBytes(payload), this.#lastChunk);
    const half = rest < HALF_BYTES_MIN ? 0 : rest;
    this.#held.drop(this.#half - half);
    this.#half = half;
    this.#halfSince = this.#timers.now();
  }

  send(message: string | Uint8Array): void {
    this.#send(message, (sent) => this.#socket.send(message, sent));
  }

  passOn(bytes: Uint8Array, sent: () => void): void {
    this.#send(bytes, (flushed) =>
      this.#socket.send(bytes, () => {
        flushed();
        sent();
      }),
    );
  }

  #send(message: string | Uint8Array, hand: (sent: () => void) => void): void {
    if (this.#socket.readyState !== this.#socket.OPEN) return;
    const bytes = typeof message === "string" ? Buffer.byteLength(message) : message.length;
    if (!this.#held.add(bytes)) return this.close("no-room");
    if (this.unreadBytes() === 0) this.#readAt = this.#timers.now();
    hand(() => {
      this.#held.drop(bytes);
      this.#readAt = this.#timers.now();
      this.#listen();
    });
    this.#listen();
  }

  /** Listens, or does not: to whoever rests, or has much unread. */
  #listen(): void {
    const hears = this.#resting === null && this.unreadBytes() <= UNREAD_BYTES_HEARD_MAX;
    if (hears) this.#socket.resume();
    else this.#socket.pause();
  }

  rest(ms: number): void {
    this.#resting?.();
    const callOff = this.#timers.after(Math.min(ms, REST_MS_MAX), () => {
      this.#resting = null;
      this.#listen();
    });
    this.#resting = callOff;
    this.#listen();
  }

  /** To be called every now and then: cuts whoever stands still. */
  look(): void {
    const now = this.#timers.now();
    if (this.unreadBytes() > 0 && now - this.#readAt > STALLED_MS) this.close("not-reading");
    else if (this.#half > 0 && this.#resting === null && !this.#socket.isPaused && now - this.#halfSince > HALF_MESSAGE_MS)
      this.close("half-message");
  }

  /** To be called once a beat: cuts whoever is listened to and has said nothing for so many, not even that it is there. */
  missBeat(missedMax: number): void {
    if (!this.#admitted || this.#resting !== null || this.#socket.isPaused) this.#missed = 0;
    else if (this.#missed >= missedMax) this.close("silent");
    else this.#missed++;
  }

  close(closing: Closing): void {
    const { code, says } = CLOSINGS[closing];
    this.#socket.close(code, says);
    // what it holds is needed now, or is a stranger's; whoever hangs does not answer a goodbye either
    if (closing === "no-room" || closing === "silent" || !this.#admitted) this.#timers.after(0, () => this.#socket.terminate());
  }

  onMessage(handler: (message: string | Uint8Array) => void): void {
    this.#socket.on("message", (data: Buffer, binary: boolean) => {
      this.#whole(data.length);
      handler(binary ? new Uint8Array(data.buffer, data.byteOffset, data.length) : data.toString("utf8"));
    });
  }

  onControl(handler: () => void): void {
    this.#control = handler;
  }

  onClose(handler: () => void): void {
    this.#socket.on("close", handler);
  }
}
