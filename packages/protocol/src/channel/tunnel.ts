/**
 * Byte streams inside a channel: a connection to a guest's port, its shell, its screen. Each side sends at most a window ahead of what
 * the other has used. Of a port, one side's end leaves the other's bytes their way, as TCP does (RFC 9293, section 3.6): it is said by
 * `data` of no bytes. A program that has gone says no more than one that waits for an answer. What is shut takes its place among an end's
 * tunnels until its stream has closed. What waits for the stream is held as few pieces, however many messages it came in: what it takes
 * of memory is bounded by its bytes. Who controls the inputs: the other end of the channel.
 */
import { concatBytes } from "../bytes.ts";
import type { ByteDuplex } from "./byte-streams.ts";
import { TUNNEL_WINDOW_BYTES, type ChannelHeader } from "./channel-messages.ts";

const PIECE_BYTES_MAX = 60_000;
const BROKEN_OFF = "the connection was reset";
const LINK_LOST = "the link went down";
const NO_BYTES = new Uint8Array(0);
/** Messages that come while the stream is busy are put together up to so much. */
const JOINED_BYTES_MAX = 16 * 1024;

/** Resolves when the channel has handed it over. */
type Send = (header: ChannelHeader, body?: Uint8Array) => Promise<void>;

interface TunnelHost {
  id: number;
  /** Whether what one side sends may end before what the other does. */
  hasHalves: boolean;
  send: Send;
  /** Its stream has closed: nothing of it is left. */
  closed(): void;
}

export class Tunnel {
  readonly #host: TunnelHost;
  readonly #stream: ByteDuplex;
  #ahead = 0;
  /** Pieces that the channel has not handed over. */
  #queued = 0;
  #unused = 0;
  /** What came while the stream was busy with what came before. */
  readonly #held: Uint8Array[] = [];
  #isWriting = false;
  #over = false;
  #otherEnded = false;

  constructor(stream: ByteDuplex, host: TunnelHost) {
    this.#stream = stream;
    this.#host = host;
    stream.on("data", (bytes: Uint8Array) => this.#forward(bytes));
    stream.once("end", () => void this.#ended());
    stream.once("close", () => {
      this.#end("");
      host.closed();
    });
    stream.on("error", (error: Error) => this.#end(error.message.slice(0, 200)));
  }

  /** Its stream has said all. */
  async #ended(): Promise<void> {
    if (!this.#host.hasHalves) return this.#end("");
    if (this.#stream.wasBrokenOff && (await this.#stream.wasBrokenOff())) return this.#end(BROKEN_OFF);
    void this.#say(NO_BYTES);
  }

  /** Whether the other side has said all that it will. */
  get hasHeardAll(): boolean {
    return this.#otherEnded;
  }

  /** Shuts it from this side, with the reason in words. */
  cut(why: string): void {
    this.#end(why);
  }

  #say(bytes: Uint8Array): Promise<void> {
    return this.#over ? Promise.resolve() : this.#host.send({ t: "data", id: this.#host.id }, bytes);
  }

  #forward(bytes: Uint8Array): void {
    if (this.#over) return;
    for (let at = 0; at < bytes.length; at += PIECE_BYTES_MAX) {
      this.#queued++;
      void this.#say(bytes.subarray(at, at + PIECE_BYTES_MAX)).then(() => {
        this.#queued--;
        this.#flow();
      });
    }
    this.#ahead += bytes.length;
    this.#flow();
  }

  /** Reads on where the channel and the other side have room. */
  #flow(): void {
    if (this.#over) return;
    if (this.#queued === 0 && this.#ahead < TUNNEL_WINDOW_BYTES) this.#stream.resume();
    else this.#stream.pause();
  }

  /** Bytes from the other side, or none for its end. One that sends far over the window, or anything after its end, is cut off. */
  receive(bytes: Uint8Array): void {
    if (this.#over) return;
    if (this.#otherEnded) return this.#end("more was sent than there was");
    if (bytes.length === 0) return this.#otherEnds();
    this.#unused += bytes.length;
    if (this.#unused > 4 * TUNNEL_WINDOW_BYTES) return this.#end("more was sent than was asked for");
    const last = this.#held.at(-1);
    if (last && last.length + bytes.length <= JOINED_BYTES_MAX) this.#held[this.#held.length - 1] = concatBytes(last, bytes);
    else this.#held.push(bytes);
    if (!this.#isWriting) this.#write();
  }

  /** Hands one piece over; the next follows once it was taken. */
  #write(): void {
    const bytes = this.#held.shift();
    if (!bytes) return;
    this.#isWriting = true;
    this.#stream.write(bytes, () => {
      this.#isWriting = false;
      this.#unused -= bytes.length;
      if (!this.#over) void this.#host.send({ t: "taken", id: this.#host.id, bytes: bytes.length });
      if (!this.#isWriting) this.#write();
    });
  }

  /** Nothing more comes: what is held goes to the stream at once. */
  #writeAll(): void {
    while (this.#held.length > 0) this.#write();
  }

  #otherEnds(): void {
    if (!this.#host.hasHalves) return this.#end("an end was said where there is none");
    this.#otherEnded = true;
    this.#writeAll();
    this.#stream.end();
  }

  taken(bytes: number): void {
    this.#ahead -= bytes;
    this.#flow();
  }

  /** The other side has shut it; with a reason where it could not be opened. What came before is still written, and nothing is read. */
  shut(why = ""): void {
    if (this.#over) return;
    this.#over = true;
    if (why !== "") return this.#breakOff(why);
    this.#stream.pause();
    this.#writeAll();
    this.#stream.end(() => this.#stream.destroy());
  }

  /** Who reads or writes it is told that this was no end; what is held is no part of anything whole. */
  #breakOff(why: string): void {
    this.#held.length = 0;
    if (this.#stream.breakOff) this.#stream.breakOff(new Error(why));
    else this.#stream.destroy(new Error(why));
  }

  #end(why: string): void {
    if (this.#over) return;
    this.#over = true;
    void this.#host.send({ t: "shut", id: this.#host.id, why });
    this.#stream.destroy();
  }

  /** The channel is gone. */
  drop(): void {
    if (this.#over) return void this.#stream.destroy();
    this.#over = true;
    if (this.#host.hasHalves) this.#breakOff(LINK_LOST);
    else this.#stream.destroy();
  }
}
