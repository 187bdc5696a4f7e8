/**
 * A socket whose bytes are taken in sips: before each one its reader is asked whether there should be more, so that what came in one piece
 * is not heard at once, and a sender who should wait is stopped by the kernel's window. Who controls the inputs: whoever connects, every
 * byte and when it comes.
 */
import { letGo } from "@xenoservers/protocol";
import { Duplex } from "node:stream";
import type { Timers } from "@xenoservers/protocol/link";
import { WholeFrames } from "@xenoservers/protocol/websocket-frames";
import { BulkTurns } from "./bulk-turns.ts";
import { stopReading } from "./stop-reading.ts";

/** Small enough that the messages in it cost little. */
const SIP_BYTES = 4 * 1024;
/** Of one long message, whose bytes cost little each. */
const LONG_SIP_BYTES = 64 * 1024;
const WAIT_MS_MAX = 10_000;

export class Sips extends Duplex {
  readonly #socket: Duplex;
  readonly #timers: Timers;
  readonly #turns: BulkTurns;
  readonly #frames = new WholeFrames();
  /** Whose turn is asked for. */
  #holder: () => string = () => "";
  #hasAsked = false;
  #isItsTurn = false;
  /** For how many ms nothing more should be taken. */
  #owedMs: () => number = () => 0;
  /** What has come of the socket last, and what of it was not taken. */
  #piece: Buffer = Buffer.alloc(0);
  #come: Buffer = this.#piece;
  #hasEnded = false;
  #isDeaf = false;
  #wanted = false;
  #isGiving = false;
  #callOff: (() => void) | null = null;

  /** `head`: what came of it before; long messages of all sockets share `turns`. */
  constructor(
    socket: Duplex,
    timers: Timers,
    { head = Buffer.alloc(0), turns = new BulkTurns() }: { head?: Buffer; turns?: BulkTurns } = {},
  ) {
    // one sip is asked for when the last was taken, none ahead
    super({ readableHighWaterMark: 0 });
    this.#socket = socket;
    this.#timers = timers;
    this.#turns = turns;
    this.#heard(head);
    socket.pause();
    socket.on("data", (bytes: Buffer) => {
      socket.pause();
      if (this.#isDeaf) return letGo(bytes);
      this.#heard(bytes);
      this.#offer();
    });
    socket.on("end", () => {
      this.#hasEnded = true;
      this.#offer();
    });
    socket.on("error", (error) => this.destroy(error));
    socket.on("close", () => this.destroy());
  }

  /** Whether it waits until more may be taken. */
  get rests(): boolean {
    return this.#callOff !== null;
  }

  heeds(owedMs: () => number, holder: () => string): void {
    this.#owedMs = owedMs;
    this.#holder = holder;
  }

  /** Lets go of what has come and was not taken, and of what comes before the socket has stopped. */
  deafen(): void {
    this.#isDeaf = true;
    this.#forget();
    stopReading(this.#socket);
  }

  #offer(): void {
    if (!this.#wanted || this.#callOff !== null || this.#isDeaf) return;
    const owedMs = this.#owedMs();
    if (owedMs > 0) {
      this.#callOff = this.#timers.after(Math.min(owedMs, WAIT_MS_MAX), () => {
        this.#callOff = null;
        this.#offer();
      });
      return;
    }
    if (this.#come.length > 0) {
      if (this.#hasTurn()) this.#give();
    } else if (this.#hasEnded) {
      this.#wanted = false;
      this.push(null);
    } else this.#socket.resume();
  }

  /** Whether it is its turn; else it goes on when it is. */
  #hasTurn(): boolean {
    if (this.#hasAsked) return false;
    const hasTurn =
      this.#isItsTurn ||
      this.#turns.ask(this.#holder(), () => {
        this.#hasAsked = false;
        this.#isItsTurn = true;
        this.#offer();
      });
    this.#hasAsked = !hasTurn;
    this.#isItsTurn = false;
    return hasTurn;
  }

  #heard(bytes: Buffer): void {
    this.#piece = bytes;
    this.#come = bytes;
  }

  #letGo(): void {
    letGo(this.#piece);
    this.#heard(Buffer.alloc(0));
  }

  #forget(): void {
    this.#letGo();
    this.#frames.drop();
  }

  /** A sip that is the middle of a long frame is kept until that is whole, and the next one is taken. */
  #give(): void {
    const { length, isLong, pieces } = this.#frames.take(this.#come, SIP_BYTES, LONG_SIP_BYTES);
    if (isLong) this.#turns.taken(length);
    this.#come = this.#come.subarray(length);
    if (this.#come.length === 0) this.#letGo();
    this.#wanted = pieces.length === 0;
    this.#isGiving = true;
    for (const piece of pieces) this.push(piece);
    this.#isGiving = false;
    if (this.#wanted) this.#offer();
  }

  override _read(): void {
    this.#wanted = true;
    if (!this.#isGiving) this.#offer();
  }

  override _write(bytes: Uint8Array, _encoding: BufferEncoding, done: (error?: Error | null) => void): void {
    this.#socket.write(bytes, done);
  }

  override _writev(pieces: { chunk: Uint8Array }[], done: (error?: Error | null) => void): void {
    this.#socket.cork();
    for (const [i, { chunk }] of pieces.entries()) this.#socket.write(chunk, i === pieces.length - 1 ? done : undefined);
    this.#socket.uncork();
  }

  override _final(done: (error?: Error | null) => void): void {
    this.#socket.end(done);
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    this.#callOff?.();
    this.#forget();
    this.#socket.destroy();
    done(error);
  }
}
