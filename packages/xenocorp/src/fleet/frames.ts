/**
 * Messages between two brokers on a stream of bytes: four bytes of length, one that says text or bytes, the message. Who controls the
 * inputs: another broker of the market. Bounds: the length of a message.
 */
import { parseUtf8, utf8 } from "@xenoservers/protocol";

const HEAD_BYTES = 5;
const MESSAGE_BYTES_MAX = 256 * 1024;
const TEXT = 1;
const BYTES = 0;

export function frameOf(message: string | Uint8Array): Uint8Array {
  const bytes = typeof message === "string" ? utf8(message) : message;
  const frame = new Uint8Array(HEAD_BYTES + bytes.length);
  new DataView(frame.buffer).setUint32(0, bytes.length);
  frame[HEAD_BYTES - 1] = typeof message === "string" ? TEXT : BYTES;
  frame.set(bytes, HEAD_BYTES);
  return frame;
}

/** Takes what comes, in whatever pieces; throws where it is no frame. */
export class FrameReader {
  #rest: Uint8Array = new Uint8Array();

  *read(chunk: Uint8Array): Generator<string | Uint8Array> {
    let bytes = chunk;
    if (this.#rest.length > 0) {
      bytes = new Uint8Array(this.#rest.length + chunk.length);
      bytes.set(this.#rest);
      bytes.set(chunk, this.#rest.length);
    }
    let at = 0;
    while (bytes.length - at >= HEAD_BYTES) {
      const length = new DataView(bytes.buffer, bytes.byteOffset + at).getUint32(0);
      const kind = bytes[at + HEAD_BYTES - 1];
      if (length > MESSAGE_BYTES_MAX || (kind !== TEXT && kind !== BYTES)) throw new Error("this is no message of a broker");
      if (bytes.length - at - HEAD_BYTES < length) break;
      const message = bytes.subarray(at + HEAD_BYTES, at + HEAD_BYTES + length);
      at += HEAD_BYTES + length;
      const text = kind === TEXT ? parseUtf8(message) : message;
      if (text === null) throw new Error("this is no text of a broker");
      yield text;
    }
    this.#rest = bytes.subarray(at);
  }
}
