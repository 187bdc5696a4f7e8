/**
 * What comes on a WebSocket, handed on so that no piece of it shares its memory with another, and what a long frame holds in one piece:
 * its reader need not put it together once more, and whoever had a piece last gives its memory back at once (`letGo`). Left to the
 * collector, what the kernel handed over has all of a program's heap marked for each 64 MiB that come. Who controls the inputs: whoever
 * sends, every byte, and in how many pieces they come.
 */
import { letGo } from "../bytes.ts";
import { FrameLengths } from "./frame-lengths.ts";

/** A longer frame is handed on as it comes. */
const WHOLE_BYTES_MAX = 128 * 1024;
/** One that comes in more pieces is handed on in pieces: its reader has a bound for their number. */
const PARTS_MAX = 64;

function ownCopy(bytes: Uint8Array): Buffer {
  const copy = Buffer.allocUnsafeSlow(bytes.length);
  copy.set(bytes);
  return copy;
}

function together(parts: readonly Uint8Array[]): Buffer {
  const all = Buffer.allocUnsafeSlow(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

export class WholeFrames {
  readonly #lengths = new FrameLengths();
  /** Of a long frame that has not come whole: no more than what came. */
  #parts: Buffer[] = [];

  /**
   * Takes as much of these bytes as FrameLengths says, of which nothing is used here or in `pieces` afterwards. `isLong`: some of it was in
   * a long frame.
   */
  take(bytes: Uint8Array, shortMax = Infinity, longMax = Infinity): { length: number; isLong: boolean; pieces: Buffer[] } {
    const { length, longFrom, size, left } = this.#lengths.take(bytes, shortMax, longMax);
    const isLong = longFrom < length;
    const pieces = longFrom > 0 ? [ownCopy(bytes.subarray(0, longFrom))] : [];
    if (isLong) pieces.push(...this.#long(bytes.subarray(longFrom, length), size, left));
    return { length, isLong, pieces };
  }

  #long(part: Uint8Array, size: number, left: number): Buffer[] {
    const parts = this.#parts;
    if (left === 0) {
      this.#parts = [];
      const whole = together([...parts, part]);
      for (const each of parts) letGo(each);
      return [whole];
    }
    parts.push(ownCopy(part));
    if (size <= WHOLE_BYTES_MAX && parts.length < PARTS_MAX) return [];
    this.#parts = [];
    return parts;
  }

  /** Gives back what it holds: nothing more of it is wanted. */
  drop(): void {
    for (const part of this.#parts.splice(0)) letGo(part);
  }
}
