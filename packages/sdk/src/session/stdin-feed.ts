/**
 * What a program on a server reads, from a stream of this side: no further than a window beyond what it has read, and after a lost link
 * from there on. Who controls the inputs: the server, by what it says was taken.
 */
import { concatBytes } from "@xenoservers/protocol";
import { TUNNEL_WINDOW_BYTES, type ByteSource, type Channel } from "@xenoservers/protocol/channel";

const PIECE_BYTES_MAX = 32 * 1024;

export class StdinFeed {
  readonly #from: ByteSource;
  /** What was sent, or is to be, and not taken. */
  #held: Uint8Array = new Uint8Array(0);
  /** Where in the stream that begins. */
  #taken: number | null = null;
  #sent = 0;
  #channel: Channel | null = null;
  /** Some of it was read and is not held any more. */
  #isGone = false;
  #isOver = false;
  #saidOver = false;

  constructor(from: ByteSource) {
    this.#from = from;
    from.on("readable", () => this.#flow());
    from.once("end", () => this.#end());
    from.once("close", () => this.#end());
    from.on("error", () => this.#end()); // what was read before is the whole of it
  }

  #end(): void {
    this.#isOver = true;
    this.#flow();
  }

  /** So many bytes were taken of all that this lease was ever sent. The first word on a channel says where to go on. */
  taken(channel: Channel, bytes: number): void {
    const isNew = this.#channel !== channel;
    this.#channel = channel;
    const before = (this.#taken ??= bytes); // others may have fed it before
    const end = before + this.#held.length;
    if (bytes > before) {
      this.#held = this.#held.subarray(Math.min(bytes, end) - before);
      this.#isGone = true;
      this.#taken = Math.min(bytes, end);
    }
    if (isNew) {
      this.#sent = this.#taken;
      this.#saidOver = false;
    }
    this.#flow();
  }

  #read(): void {
    while (this.#held.length < TUNNEL_WINDOW_BYTES && this.#from.readableLength > 0) {
      const part: unknown = this.#from.read(Math.min(this.#from.readableLength, TUNNEL_WINDOW_BYTES - this.#held.length));
      if (!(part instanceof Uint8Array)) return;
      this.#held = concatBytes(this.#held, part);
    }
    // where there is nothing yet, this asks for it
    if (this.#from.readableLength === 0 && this.#held.length < TUNNEL_WINDOW_BYTES) this.#from.read(0);
  }

  #flow(): void {
    const from = this.#taken;
    if (from === null || !this.#channel) return;
    this.#read();
    while (this.#sent < from + this.#held.length) {
      const part = this.#held.subarray(this.#sent - from, this.#sent - from + PIECE_BYTES_MAX);
      void this.#channel.send({ t: "stdin", offset: this.#sent, last: false }, part);
      this.#sent += part.length;
    }
    if (!this.#isOver || this.#saidOver || this.#from.readableLength > 0) return;
    this.#saidOver = true;
    void this.#channel.send({ t: "stdin", offset: this.#sent, last: true });
  }

  /** Another program is to read all of it; false: it cannot, for some was read by the one before. */
  beginAgain(): boolean {
    [this.#channel, this.#taken] = [null, null];
    return !this.#isGone;
  }

  /** The channel is gone: the next says how far the program had come. */
  lost(): void {
    this.#channel = null;
  }
}
