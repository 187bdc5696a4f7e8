/** How far a job's bytes have come on their way to its server. Who controls the inputs: the server, what it asks for. */
import type { BuiltWork } from "../built.ts";
import { PYTHON } from "../runtimes.ts";

/** `thereBefore`: what the server did not ask for, since it had it already. */
export interface UploadProgress {
  bytes: number;
  bytesInAll: number;
  thereBefore: number;
}

export class Upload {
  readonly #blobs: ReadonlyMap<string, { size: number }>;
  readonly #reached = new Map<string, number>();
  readonly #inAll: number;
  #bytes = 0;
  #thereBefore = 0;

  /** What every server has is nothing that is sent. */
  constructor(work: Pick<BuiltWork, "blobs"> | null) {
    this.#blobs = new Map([...(work?.blobs ?? [])].filter(([digest]) => digest !== PYTHON.digest));
    this.#inAll = [...this.#blobs.values()].reduce((sum, { size }) => sum + size, 0);
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
    return this.#progress;
  }

  /** The server has all of it, as it says: what it did not ask for was there. Null where that is no news. */
  whole(): UploadProgress | null {
    let there = 0;
    for (const [digest, { size }] of this.#blobs) {
      if (this.#reached.has(digest)) continue;
      this.#reached.set(digest, size);
      there += size;
    }
    this.#bytes += there;
    this.#thereBefore += there;
    return there > 0 ? this.#progress : null;
  }

  get #progress(): UploadProgress {
    return { bytes: this.#bytes, bytesInAll: this.#inAll, thereBefore: this.#thereBefore };
  }
}
