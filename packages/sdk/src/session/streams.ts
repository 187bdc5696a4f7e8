/** What came of a guest's two streams so far, and its digests. Who controls the inputs: the server (offsets and bytes). */
import { toHex, type Payload } from "@xenoservers/protocol";
import { startSha256, type RunningHash } from "@xenoservers/protocol/system";

export type Stream = "stdout" | "stderr";
export const STREAMS = ["stdout", "stderr"] as const satisfies readonly Stream[];

export class Streams {
  readonly #received: Record<Stream, number>;
  /** Null where the stream is not followed from its start: it cannot be compared with what was signed then. */
  readonly #hashes: Record<Stream, RunningHash | null>;

  constructor(from: Record<Stream, number>) {
    this.#received = { ...from };
    this.#hashes = { stdout: from.stdout === 0 ? startSha256() : null, stderr: from.stderr === 0 ? startSha256() : null };
  }

  get received(): Record<Stream, number> {
    return { ...this.#received };
  }

  /** What of these bytes is new; null where they leave something out. */
  take(stream: Stream, offset: number, bytes: Uint8Array): Uint8Array | null {
    const skip = this.#received[stream] - offset;
    if (skip < 0 || skip > bytes.length) return null;
    const fresh = bytes.subarray(skip);
    this.#received[stream] += fresh.length;
    this.#hashes[stream]?.update(fresh);
    return fresh;
  }

  /** Whether every byte of both was seen from the start, so that digests say something. */
  get whole(): boolean {
    return STREAMS.every((stream) => this.#hashes[stream] !== null);
  }

  /** The stream that is not what was signed; null when none is known to be. */
  difference(result: Payload<"result">): Stream | null {
    const differs = (stream: Stream): boolean => {
      const hash = this.#hashes[stream];
      return hash !== null && toHex(hash.digest()) !== result[`${stream}Digest`];
    };
    return STREAMS.find(differs) ?? null;
  }
}
