/**
 * Byte streams inside a channel: a connection to a guest's port. Each side sends at most a window ahead of what the other has used. Who
 * controls the inputs: the other end of the channel.
 */
import type { ByteDuplex } from "./byte-streams.ts";
import { TUNNEL_WINDOW_BYTES, type ChannelHeader } from "./channel-messages.ts";

const PIECE_BYTES_MAX = 60_000;

/** Resolves when the channel has handed it over. */
type Send = (header: ChannelHeader, body?: Uint8Array) => Promise<void>;

export class Tunnel {
  readonly #id: number;
  readonly #send: Send;
  readonly #stream: ByteDuplex;
  #ahead = 0;
  /** Pieces that the channel has not handed over. */
  #queued = 0;
  #unused = 0;
  #over = false;
  readonly #closed: () => void;

  constructor(id: number, stream: ByteDuplex, send: Send, closed: () => void) {
    this.#id = id;
    this.#stream = stream;
    this.#send = send;
    this.#closed = closed;
    stream.on("data", (bytes: Uint8Array) => this.#forward(bytes));
    stream.once("end", () => this.#end(""));
    stream.once("close", () => this.#end(""));
    stream.on("error", (error: Error) => this.#end(error.message.slice(0, 200)));
  }

  #forward(bytes: Uint8Array): void {
    for (let at = 0; at < bytes.length; at += PIECE_BYTES_MAX) {
      this.#queued++;
      void this.#send({ t: "data", id: this.#id }, bytes.subarray(at, at + PIECE_BYTES_MAX)).then(() => {
        this.#queued--;
        this.#flow();
      });
    }
    this.#ahead += bytes.length;
    this.#flow();
  }

  /** Reads on where the channel and the other side have room. */
  #flow(): void {
    if (this.#queued === 0 && this.#ahead < TUNNEL_WINDOW_BYTES) this.#stream.resume();
    else this.#stream.pause();
  }

  /** Bytes from the other side. One that sends far over the window is cut off. */
  receive(bytes: Uint8Array): void {
    if (this.#over) return;
    this.#unused += bytes.length;
    if (this.#unused > 4 * TUNNEL_WINDOW_BYTES) return this.#end("more was sent than was asked for");
    this.#stream.write(bytes, () => {
      this.#unused -= bytes.length;
      if (!this.#over && bytes.length > 0) void this.#send({ t: "taken", id: this.#id, bytes: bytes.length });
    });
  }

  taken(bytes: number): void {
    this.#ahead -= bytes;
    this.#flow();
  }

  /** The other side has shut it; with a reason where it could not be opened. */
  shut(why = ""): void {
    if (this.#over) return;
    this.#over = true;
    if (why === "") this.#stream.end();
    else this.#stream.destroy(new Error(why));
    this.#closed();
  }

  #end(why: string): void {
    if (this.#over) return;
    this.#over = true;
    void this.#send({ t: "shut", id: this.#id, why });
    this.#stream.destroy();
    this.#closed();
  }

  /** The channel is gone. */
  drop(): void {
    this.#over = true;
    this.#stream.destroy();
  }
}
