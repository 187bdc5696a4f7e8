/**
 * The broker's end of one WebSocket. Who has much unread is not listened to until it reads; who reads nothing for long, or begins a message
 * and does not end it, is cut. All that waits here counts in the memory's share for links. Who controls the inputs: whoever connects, every
 * byte and when it comes.
 */
import { letGo } from "@xenoservers/protocol";
import type { Duplex } from "node:stream";
import { CLOSINGS, type Closing, type Held, type MemoryShare, type Timers } from "@xenoservers/protocol/link";
import type { WebSocket } from "ws";
import type { LinkPipe } from "./link.ts";
import type { Sips } from "./sips.ts";

const UNREAD_BYTES_HEARD_MAX = 1024 * 1024;
/** The same of what it is told, answers nearly all of it; whoever asks on does not wait for them. Channels need their windows. */
const TOLD_BYTES_HEARD_MAX = 32 * 1024;
const STALLED_MS = 30_000;
const HALF_MESSAGE_MS = 30_000;
/** Less than so much of a message weighs no more than a link that says nothing. */
const HALF_BYTES_MIN = 1024;
/** What a message that waits weighs beside its bytes: buffers of their own, a place in the socket's queue, who is told when it is sent. */
export const WAITING_BYTES = 512;

const waiting = (message: string | Uint8Array): number =>
  WAITING_BYTES + (typeof message === "string" ? Buffer.byteLength(message) : message.length);

/** A login, which is all that a stranger has to say, is smaller. */
const STRANGERS_BYTES_MAX = 16 * 1024;

/** A frame of a client with so many bytes (RFC 6455 section 5.2). */
const frameBytes = (payload: number): number => payload + (payload < 126 ? 6 : payload < 65_536 ? 8 : 14);

export class SocketPipe implements LinkPipe {
  readonly #socket: WebSocket;
  readonly #sips: Pick<Sips, "heeds" | "rests" | "end" | "deafen">;
  readonly #timers: Timers;
  readonly #held: Held;
  /** Of a message that is not whole yet. */
  #half = 0;
  #halfSince = 0;
  #lastChunk = 0;
  #admitted = false;
  /** When last something of what waits was taken. */
  #readAt: number;
  #unread = 0;
  /** Of these, what is no channel's. */
  #told = 0;
  #closed = false;
  /** Beats since anything came. */
  #missed = 0;
  #control: () => void = () => {};

  /** `raw` is what comes, `sips` what of it the WebSocket is given. */
  constructor(
    socket: WebSocket,
    { raw, sips }: { raw: Duplex; sips: Pick<Sips, "heeds" | "rests" | "end" | "deafen"> },
    memory: MemoryShare,
    timers: Timers,
  ) {
    this.#socket = socket;
    this.#sips = sips;
    this.#timers = timers;
    this.#readAt = timers.now();
    this.#held = memory.hold(() => this.close("no-room"));
    socket.on("error", () => socket.terminate());
    socket.on("close", () => this.#held.end());
    // before it is given to the WebSocket, which says what became whole
    raw.prependListener("data", (chunk: Uint8Array) => this.#came(chunk.length));
    socket.on("ping", (data: Buffer) => {
      this.#whole(data.length);
      this.#control();
      this.#tell(data, (sent) => socket.pong(data, false, sent));
    });
    socket.on("pong", (data: Buffer) => {
      this.#whole(data.length);
      this.#control();
    });
  }

  unreadBytes(): number {
    return this.#unread;
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
    this.#tell(message, (sent) => this.#socket.send(message, sent));
  }

  #tell(message: string | Uint8Array, hand: (sent: () => void) => void): void {
    const bytes = waiting(message);
    this.#told += bytes;
    this.#send(message, (sent) =>
      hand(() => {
        this.#told -= bytes;
        sent();
      }),
    );
  }

  passOn(bytes: Uint8Array, sent: () => void): void {
    this.#send(bytes, (flushed) =>
      this.#socket.send(bytes, () => {
        flushed();
        sent();
        letGo(bytes);
      }),
    );
  }

  #send(message: string | Uint8Array, hand: (sent: () => void) => void): void {
    if (this.#closed || this.#socket.readyState !== this.#socket.OPEN) return;
    const bytes = waiting(message);
    if (!this.#held.add(bytes)) return this.close("no-room");
    if (this.#unread === 0) this.#readAt = this.#timers.now();
    this.#unread += bytes;
    hand(() => {
      this.#held.drop(bytes);
      this.#unread -= bytes;
      this.#readAt = this.#timers.now();
      this.#listen();
    });
    this.#listen();
  }

  /** Listens, or does not: to whoever has much unread, or is told that it is over. */
  #listen(): void {
    if (!this.#closed && this.#unread <= UNREAD_BYTES_HEARD_MAX && this.#told <= TOLD_BYTES_HEARD_MAX) this.#socket.resume();
    else this.#socket.pause();
  }

  heeds(owedMs: () => number, holder: () => string): void {
    this.#sips.heeds(owedMs, holder);
  }

  /** To be called every now and then: cuts whoever stands still. */
  look(): void {
    const now = this.#timers.now();
    if (this.#unread > 0 && now - this.#readAt > STALLED_MS) this.close("not-reading");
    else if (this.#half > 0 && !this.#sips.rests && !this.#socket.isPaused && now - this.#halfSince > HALF_MESSAGE_MS)
      this.close("half-message");
  }

  /** To be called once a beat: cuts whoever is listened to and has said nothing for so many, not even that it is there. */
  missBeat(missedMax: number): void {
    if (!this.#admitted || this.#sips.rests || this.#socket.isPaused) this.#missed = 0;
    else if (this.#missed >= missedMax) this.close("silent");
    else this.#missed++;
  }

  /** Says why and ends: nothing more is heard of the other end, which has the time that the WebSocket waits to hear the reason. */
  close(closing: Closing): void {
    const { code, says } = CLOSINGS[closing];
    if (this.#closed) return;
    this.#closed = true;
    this.#socket.close(code, says);
    this.#socket.pause();
    if (!this.#admitted) return this.#leaveStanding();
    this.#sips.end();
    // what it holds is needed now; whoever hangs does not answer a goodbye either
    if (closing === "no-room" || closing === "silent") this.#timers.after(0, () => this.#socket.terminate());
  }

  /** A stranger's connection stays for as long as the WebSocket waits, or it would be back at once; what came last is kept no longer. */
  #leaveStanding(): void {
    this.#sips.deafen();
    this.#held.drop(this.#lastChunk);
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
