/**
 * The host's end of the port `xeno.stdin` of an OCI guest (init/container.pl): what its program reads. Where the daemon was killed, the
 * next asks how much was taken, and goes on there. Who controls the inputs: the customer (bytes, offsets), the guest (what it says it has
 * taken).
 */
import type { Duplex } from "node:stream";
import { TUNNEL_WINDOW_BYTES } from "@xenoservers/protocol/channel";

const [MARK, ESCAPE, TURN] = [0x7e, 0x7d, 0x20];
/** The guest may say as much as it likes: its last line counts. */
const TAIL_BYTES = 64;
/** Of frames that wait for the guest: each takes memory beside its bytes. */
const FRAMES_WAITING_MAX = 2_048;
/** And of their bytes, each of which may become two: a guest may say that it has taken what it never read. */
const BYTES_WAITING_MAX = 2 * TUNNEL_WINDOW_BYTES + 64 * 1024;

/** Between two marks, which stand nowhere within. */
export function frameOf(kind: "A" | "D" | "E", offset: number, bytes: Uint8Array = new Uint8Array(0)): Buffer {
  const plain = Buffer.alloc(9 + bytes.length);
  plain.write(kind);
  plain.writeBigUInt64BE(BigInt(offset), 1);
  plain.set(bytes, 9);
  const out = Buffer.alloc(2 * plain.length + 2);
  let at = 0;
  out[at++] = MARK;
  for (const byte of plain) {
    const isMark = byte === MARK || byte === ESCAPE;
    if (isMark) out[at++] = ESCAPE;
    out[at++] = isMark ? byte ^ TURN : byte;
  }
  out[at++] = MARK;
  return out.subarray(0, at);
}

export class StdinPort {
  readonly #socket: Duplex;
  readonly #changed: (taken: number) => void;
  #tail = "";
  #waiting = 0;
  /** By the program; null until the guest has said so. */
  #taken: number | null = null;
  #sent = 0;
  #isOver = false;

  /** `changed`: the guest has said how much it has taken. */
  constructor(socket: Duplex, changed: (taken: number) => void) {
    this.#socket = socket;
    this.#changed = changed;
    socket.on("data", (bytes: Buffer) => this.#hear(bytes));
    socket.write(frameOf("A", 0));
  }

  get taken(): number | null {
    return this.#taken;
  }

  #hear(bytes: Buffer): void {
    const all = this.#tail + bytes.subarray(-TAIL_BYTES).toString("latin1");
    this.#tail = all.slice(-TAIL_BYTES);
    const said = /(?:^|\n)(\d{1,15})\n\d*$/.exec(bytes.length > TAIL_BYTES ? all.slice(-TAIL_BYTES) : all)?.[1];
    if (said === undefined) return;
    const taken = Number(said);
    // what was not sent from here cannot have been taken, but for what an earlier daemon sent
    if (this.#taken !== null && (taken < this.#taken || taken > this.#sent)) return;
    if (this.#taken === null) this.#sent = taken;
    this.#taken = taken;
    this.#changed(taken);
  }

  /** In words, why it cannot be; null where it was passed on, or had been before. */
  receive(offset: number, bytes: Uint8Array, last: boolean): string | null {
    if (this.#taken === null || offset > this.#sent) return "input came out of its order";
    if (offset + bytes.length > this.#taken + TUNNEL_WINDOW_BYTES) return "more input was sent than was asked for";
    const fresh = bytes.subarray(this.#sent - offset);
    if (this.#isOver) return null;
    if (this.#waiting >= FRAMES_WAITING_MAX || this.#socket.writableLength + 2 * fresh.length > BYTES_WAITING_MAX)
      return "more input was sent than was asked for";
    if (fresh.length > 0) {
      this.#waiting++;
      this.#socket.write(frameOf("D", this.#sent, fresh), () => this.#waiting--);
    }
    this.#sent += fresh.length;
    if (!last) return null;
    this.#isOver = true;
    this.#socket.write(frameOf("E", this.#sent));
    return null;
  }

  close(): void {
    this.#socket.destroy();
  }
}
