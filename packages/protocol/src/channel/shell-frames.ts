/**
 * The frames that a customer and its guest's shell exchange (guests/src/qemu/init/shell.pl has their table): u32 length, a letter, bytes.
 * Who controls the inputs: to the host the customer, to the customer the guest, every byte.
 */
import { concatBytes, utf8 } from "../bytes.ts";

/** Of what follows the letter: what may be sent in one. */
export const FRAME_BYTES_MAX = 64 * 1024;
const HEAD_BYTES = 5;
const LETTER_AT = 4;
/** What a customer says to its guest; the rest is the host's own. */
const CUSTOMERS = "RIEWSQ";

/** Begins a refusal: the guest cannot run the program that speaks in frames. */
export const NO_SHELL = "the guest has no Perl";
/** How a server ends its words where as many programs and copies run as can. */
export const SHELL_FULL = "wait until one has ended";

export interface Frame {
  letter: string;
  bytes: Uint8Array;
}

export function frame(letter: string, bytes: Uint8Array = new Uint8Array(0)): Uint8Array {
  const whole = new Uint8Array(HEAD_BYTES + bytes.length);
  new DataView(whole.buffer).setUint32(0, bytes.length);
  whole.set(utf8(letter), LETTER_AT);
  whole.set(bytes, HEAD_BYTES);
  return whole;
}

/** Cuts a stream of bytes into frames. */
export class Frames {
  #rest: Uint8Array = new Uint8Array(0);

  /** All that are whole by now; null where a frame is larger than any is. */
  take(bytes: Uint8Array): Frame[] | null {
    const all = this.#rest.length === 0 ? bytes : concatBytes(this.#rest, bytes);
    const view = new DataView(all.buffer, all.byteOffset, all.length);
    const frames: Frame[] = [];
    let at = 0;
    while (all.length - at >= HEAD_BYTES) {
      const length = view.getUint32(at);
      if (length > FRAME_BYTES_MAX) return null;
      const end = at + HEAD_BYTES + length;
      if (end > all.length) break;
      frames.push({ letter: String.fromCharCode(view.getUint8(at + LETTER_AT)), bytes: all.subarray(at + HEAD_BYTES, end) });
      at = end;
    }
    this.#rest = all.slice(at);
    return frames;
  }
}

/** A customer's bytes as far as they are whole frames, so that one that stops half-way leaves its guest's port as it was. */
export class WholeFrames {
  readonly #frames = new Frames();

  /** Null where it is none of a customer's frames. */
  take(bytes: Uint8Array): Uint8Array | null {
    const frames = this.#frames.take(bytes);
    if (frames === null || frames.some(({ letter }) => !CUSTOMERS.includes(letter))) return null;
    return concatBytes(...frames.map(({ letter, bytes: of }) => frame(letter, of)));
  }
}
