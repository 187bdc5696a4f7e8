/**
 * A bounded part of what a job printed or a file holds: an agent reads what fits, is told that there is more, and asks for it by its
 * place.
 */
import { encoded, type Encoding } from "../output/encoded.ts";

/** Of one stream or file in one answer. */
export const SLICE_BYTES_MAX = 32 * 1024;

export interface Slice {
  encoding: Encoding;
  data: string;
  /** Where `data` begins. */
  from: number;
  /** How long the whole is, as far as it has come. */
  bytes: number;
  /** There is more behind this part. */
  cut: boolean;
  /** Where that begins; absent where this is the end. */
  next?: number;
}

/** A letter of UTF-8 has at most four bytes: so many at a part's end may begin one that goes on behind it. */
const LETTER_BYTES_MAX = 4;

/** Without the beginning of a letter that does not end here. */
function wholeLetters(bytes: Uint8Array): Uint8Array {
  for (let less = 0; less < LETTER_BYTES_MAX && less < bytes.length; less++) {
    const shorter = bytes.subarray(0, bytes.length - less);
    if (encoded(shorter).encoding === "utf8") return shorter;
  }
  return bytes;
}

/** What is kept of a stream while it comes, from a place on; the rest is counted. */
export class Slicer {
  readonly #from: number;
  readonly #parts: Uint8Array[] = [];
  #kept = 0;
  #bytes: number;

  /** `seen`: so many bytes before what is added here. */
  constructor(from = 0, seen = 0) {
    this.#from = from;
    this.#bytes = seen;
  }

  add(bytes: Uint8Array): void {
    const skip = Math.max(0, this.#from - this.#bytes);
    this.#bytes += bytes.length;
    const room = SLICE_BYTES_MAX + LETTER_BYTES_MAX - this.#kept;
    const part = bytes.subarray(skip, skip + room);
    if (part.length === 0) return;
    // the caller's memory is larger than the part
    this.#parts.push(part.slice());
    this.#kept += part.length;
  }

  get bytes(): number {
    return this.#bytes;
  }

  slice(): Slice {
    const all = Buffer.concat(this.#parts);
    const isCut = this.#from + SLICE_BYTES_MAX < this.#bytes;
    const shown = isCut ? wholeLetters(all.subarray(0, SLICE_BYTES_MAX)) : all;
    const next = this.#from + shown.length;
    return { ...encoded(shown), from: this.#from, bytes: this.#bytes, cut: isCut, ...(isCut ? { next } : {}) };
  }
}

export function sliceOf(bytes: Uint8Array, from = 0): Slice {
  const slicer = new Slicer(from);
  slicer.add(bytes);
  return slicer.slice();
}
