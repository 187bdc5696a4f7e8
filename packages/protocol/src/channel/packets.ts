/**
 * Noise's transport cipher (revision 34, section 5.1: ChaCha20-Poly1305, a counter as the nonce), and messages cut into its packets and put
 * together again, with as few copies as there can be: a packet is opened where its message lies. Who controls the inputs: whoever holds the
 * other static key, every byte; of what is longer than any packet or message nothing is kept.
 */
import { channelCrypto } from "#system";
import { TAG_BYTES } from "../system/system.ts";

const NONCE_BYTES = 12;
/** A packet's plain text, its first byte included. */
const PLAIN_BYTES_MAX = 65_535 - TAG_BYTES;
export const PACKET_BYTES_MAX = PLAIN_BYTES_MAX - 1;
/** What a packet is: a part of a message, the end of one, or how many bytes were used. */
export const MORE = 1;
export const LAST = 0;
export const USED = 2;
/** A message that begins with a whole packet is likely as long as the last one was; not more than this is made ready for it. */
const READY_BYTES_MAX = 512 * 1024;

class Nonces {
  readonly #bytes = new Uint8Array(NONCE_BYTES);
  readonly #view = new DataView(this.#bytes.buffer);
  #count = 0;

  next(): Uint8Array {
    if (this.#count >= Number.MAX_SAFE_INTEGER) throw new Error("this channel's nonces are used up");
    this.#view.setBigUint64(4, BigInt(this.#count++), true);
    return this.#bytes;
  }
}

export class Sealer {
  readonly #key: Uint8Array;
  readonly #nonces = new Nonces();
  readonly #plain = new Uint8Array(PLAIN_BYTES_MAX);

  constructor(key: Uint8Array) {
    this.#key = key;
  }

  /** A packet of what `pieces` hold, one after the other. */
  seal(what: number, pieces: readonly Uint8Array[]): Uint8Array {
    this.#plain[0] = what;
    let length = 1;
    for (const piece of pieces) {
      this.#plain.set(piece, length);
      length += piece.length;
    }
    const sealed = new Uint8Array(length + TAG_BYTES);
    const plain = this.#plain.subarray(0, length);
    channelCrypto.seal(sealed, plain, null, this.#nonces.next(), this.#key);
    return sealed;
  }
}

/** A message that waits to be sent, and how far it was. */
interface Waiting {
  pieces: Uint8Array[];
  sent: () => void;
}

/** Messages in their order, taken packet by packet. */
export class Outgoing {
  readonly #waiting: Waiting[] = [];
  #bytes = 0;

  /** That wait. */
  get bytes(): number {
    return this.#bytes;
  }

  /** What is in it must stay as it is until `sent` is called. */
  add(pieces: readonly Uint8Array[], sent: () => void): void {
    const some = pieces.filter(({ length }) => length > 0);
    this.#bytes += some.reduce((sum, { length }) => sum + length, 0);
    this.#waiting.push({ pieces: some, sent });
  }

  /** Null where nothing waits. `sent` belongs to a message's last packet. */
  next(): { pieces: Uint8Array[]; length: number; sent: (() => void) | null } | null {
    const [first] = this.#waiting;
    if (!first) return null;
    const pieces: Uint8Array[] = [];
    let length = 0;
    while (first.pieces[0] && length < PACKET_BYTES_MAX) {
      const piece = first.pieces[0].subarray(0, PACKET_BYTES_MAX - length);
      const rest = first.pieces[0].subarray(piece.length);
      if (rest.length > 0) first.pieces[0] = rest;
      else first.pieces.shift();
      pieces.push(piece);
      length += piece.length;
    }
    this.#bytes -= length;
    const isLast = first.pieces.length === 0;
    if (isLast) this.#waiting.shift();
    return { pieces, length, sent: isLast ? first.sent : null };
  }

  /** Nothing of it will be sent: nobody waits any more. */
  end(): void {
    this.#bytes = 0;
    for (const { sent } of this.#waiting.splice(0)) sent();
  }
}

/** Packets opened at the end of the message that they are parts of. */
export class Incoming {
  readonly #key: Uint8Array;
  readonly #nonces = new Nonces();
  /** One byte, then what has come of the message, then room. */
  #bytes = new Uint8Array(0);
  #size = 0;
  #lastSize = 0;

  constructor(key: Uint8Array) {
    this.#key = key;
  }

  /** Of the message that comes. */
  get size(): number {
    return this.#size;
  }

  /** Throws where it is none of the other side's. Of USED `count` holds until the next packet. */
  open(packet: Uint8Array): { what: number; length: number; count: Uint8Array } {
    const length = packet.length - TAG_BYTES;
    if (length < 1 || length > PLAIN_BYTES_MAX) throw new Error("no packet is so long");
    this.#makeRoom(length);
    // a packet's first byte comes to lie on the last one before it, which is put back
    const before = this.#bytes[this.#size] ?? 0;
    const plain = this.#bytes.subarray(this.#size, this.#size + length);
    channelCrypto.open(plain, packet, null, this.#nonces.next(), this.#key);
    const what = plain[0] ?? LAST;
    plain[0] = before;
    if (what === USED) return { what, length: 0, count: plain.subarray(1) };
    this.#size += length - 1;
    return { what, length: length - 1, count: plain.subarray(length) };
  }

  #makeRoom(length: number): void {
    const needed = this.#size + length;
    if (needed <= this.#bytes.length) return;
    const begins = this.#size === 0;
    const likely = begins ? (length === PLAIN_BYTES_MAX ? Math.min(this.#lastSize + 1, READY_BYTES_MAX) : 0) : 2 * this.#bytes.length;
    const larger = new Uint8Array(Math.max(needed, likely));
    larger.set(this.#bytes.subarray(0, this.#size + 1));
    this.#bytes = larger;
  }

  /** The message is whole: it is the caller's from now on. */
  take(): Uint8Array {
    const message = this.#bytes.subarray(1, 1 + this.#size);
    this.#lastSize = this.#size;
    this.#bytes = new Uint8Array(0);
    this.#size = 0;
    return message;
  }
}
