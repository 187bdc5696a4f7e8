/**
 * Cuts a zstd stream between its frames (RFC 8878): Node's decompressor ends with the first frame and drops what comes in the same piece
 * after it, so that of a file with several frames (zstd:chunked, pzstd) only the first would be read. Who controls the inputs: the
 * customer, every byte.
 */
import { Transform } from "node:stream";

const MAGIC = 0xfd2fb528;
const SKIPPABLE = 0x184d2a5;

type State =
  | { at: "header" }
  | { at: "block"; hasChecksum: boolean }
  /** So many bytes of the frame to be passed on; then that state. */
  | { at: "bytes"; left: number; next: State }
  | { at: "end" };

const HEADER: State = { at: "header" };

/** The frame header's length and whether a checksum ends the frame. */
function headerOf(bytes: Buffer): { length: number; hasChecksum: boolean } {
  const flags = bytes.readUInt8(4);
  const isSingle = (flags & 0x20) !== 0;
  const sizeField = [isSingle ? 1 : 0, 2, 4, 8][flags >> 6] ?? 0;
  const dictionaryField = [0, 1, 2, 4][flags & 3] ?? 0;
  return { length: 5 + (isSingle ? 0 : 1) + dictionaryField + sizeField, hasChecksum: (flags & 4) !== 0 };
}

export class ZstdFrames extends Transform {
  #held: Buffer = Buffer.alloc(0);
  #state: State = HEADER;

  constructor() {
    super({ readableObjectMode: true }); // pieces stay apart
  }

  override _transform(chunk: Buffer, _: string, done: (error?: Error | null) => void): void {
    this.#held = this.#held.length === 0 ? chunk : Buffer.concat([this.#held, chunk]);
    let passed = 0;
    const pass = (to: number, ends: boolean): void => {
      passed = to;
      if (!ends) return;
      this.push(this.#held.subarray(0, passed));
      this.#held = this.#held.subarray(passed);
      passed = 0;
    };
    for (let went = true; went;) went = this.#step(this.#held.subarray(passed), (bytes, ends) => pass(passed + bytes, ends));
    // bytes of a frame that goes on
    if (passed > 0) this.push(this.#held.subarray(0, passed));
    this.#held = this.#held.subarray(passed);
    done();
  }

  /** Whether it came further: everything up to the next place where something must be known. */
  #step(bytes: Buffer, pass: (bytes: number, ends: boolean) => void): boolean {
    const state = this.#state;
    if (bytes.length === 0) return false;
    switch (state.at) {
      case "bytes": {
        const now = Math.min(state.left, bytes.length);
        this.#state = now < state.left ? { ...state, left: state.left - now } : state.next;
        pass(now, now === state.left && state.next.at === "header");
        return true;
      }
      case "block": {
        if (bytes.length < 3) return false;
        const header = bytes.readUIntLE(0, 3);
        const size = ((header >> 1) & 3) === 1 ? 1 : header >> 3;
        const isLast = (header & 1) === 1;
        this.#state = { at: "bytes", left: 3 + size + (isLast && state.hasChecksum ? 4 : 0), next: isLast ? HEADER : state };
        return true;
      }
      case "header": {
        if (bytes.length < 8) return false;
        if (bytes.readUInt32LE(0) >>> 4 === SKIPPABLE) {
          this.#state = { at: "bytes", left: 8 + bytes.readUInt32LE(4), next: HEADER };
          return true;
        }
        // what is no frame is for the decompressor to refuse
        if (bytes.readUInt32LE(0) !== MAGIC) this.#state = { at: "end" };
        else {
          const { length, hasChecksum } = headerOf(bytes);
          this.#state = { at: "bytes", left: length, next: { at: "block", hasChecksum } };
        }
        return true;
      }
      case "end":
        pass(bytes.length, false);
        return true;
    }
  }

  override _flush(done: (error?: Error | null) => void): void {
    if (this.#held.length > 0) this.push(this.#held);
    done();
  }
}
