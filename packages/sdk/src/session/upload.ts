/** How far a job's bytes have come on their way to its server. Who controls the inputs: the server, what it asks for. */
import type { Blob } from "../blob.ts";

/** `thereBefore`: what the server did not ask for, since it had it already. */
export interface UploadProgress {
  bytes: number;
  bytesInAll: number;
  thereBefore: number;
}

export class Upload {
  readonly #blobs: ReadonlyMap<string, Pick<Blob, "size">>;
  readonly #reached = new Map<string, number>();
  readonly #inAll: number;
  #bytes = 0;
  #thereBefore = 0;

  constructor(blobs: ReadonlyMap<string, Pick<Blob, "size">>) {
    this.#blobs = blobs;
    this.#inAll = [...blobs.values()].reduce((sum, { size }) => sum + size, 0);
  }

  /** What comes before the first byte that is asked for is there. */
  asked(digest: string, offset: number): void {
    if (this.#reached.has(digest) || !this.#blobs.has(digest)) return;
    this.#reached.set(digest, offset);
    this.#bytes += offset;
    this.#thereBefore += offset;
  }

  /** What is sent once more counts once. */
  sent(digest: string, end: number): UploadProgress {
    const before = this.#reached.get(digest) ?? 0;
    if (end > before) {
      this.#reached.set(digest, end);
      this.#bytes += end - before;
    }
    return { bytes: this.#bytes, bytesInAll: this.#inAll, thereBefore: this.#thereBefore };
  }
}
