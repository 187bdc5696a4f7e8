/**
 * A socket whose bytes are taken in sips: before each one its reader is asked whether there should be more, so that what came in one piece
 * is not heard at once, and a sender who should wait is stopped by the kernel's window. Who controls the inputs: whoever connects, every
 * byte and when it comes.
 */
import { Duplex } from "node:stream";
import type { Timers } from "@xenoservers/protocol/link";
import { letGo } from "./let-go.ts";
import { stopReading } from "./stop-reading.ts";

/** Small enough that the messages in it cost little, and large enough that a channel's bytes come in few. */
const SIP_BYTES = 4 * 1024;
const WAIT_MS_MAX = 10_000;

export class Sips extends Duplex {
  readonly #socket: Duplex;
  readonly #timers: Timers;
  /** For how many ms nothing more should be taken. */
  #owedMs: () => number = () => 0;
  /** What has come of the socket and was not taken. */
  #come: Buffer = Buffer.alloc(0);
  #hasEnded = false;
  #isDeaf = false;
  #wanted = false;
  #callOff: (() => void) | null = null;

  constructor(socket: Duplex, timers: Timers) {
    // one sip is asked for when the last was taken, none ahead
    super({ readableHighWaterMark: 0 });
    this.#socket = socket;
    this.#timers = timers;
    socket.pause();
    socket.on("data", (bytes: Buffer) => {
      socket.pause();
      if (this.#isDeaf) return letGo(bytes);
      this.#come = bytes;
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

  heeds(owedMs: () => number): void {
    this.#owedMs = owedMs;
  }

  /** Lets go of what has come and was not taken, and of what comes before the socket has stopped. */
  deafen(): void {
    this.#isDeaf = true;
    letGo(this.#come);
    this.#come = Buffer.alloc(0);
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
      const sip = this.#come.subarray(0, SIP_BYTES);
      this.#come = this.#come.subarray(sip.length);
      this.#wanted = false;
      this.push(sip);
    } else if (this.#hasEnded) {
      this.#wanted = false;
      this.push(null);
    } else this.#socket.resume();
  }

  override _read(): void {
    this.#wanted = true;
    this.#offer();
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
    this.#come = Buffer.alloc(0);
    this.#socket.destroy();
    done(error);
  }
}
