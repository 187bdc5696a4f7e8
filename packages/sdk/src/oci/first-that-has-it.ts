/**
 * One image that lies at several places, of which the first that gives it is taken; where that one fails later, the next go on: bytes are
 * checked against their digests whoever gives them. Who controls the inputs: the places, every byte.
 */
import { OciError, type Descriptor, type OciSource, type OnBytes } from "./source.ts";

/** What is told of a place that is left for the next: why. */
type OnNext = (why: string) => void;

export class FirstThatHasIt implements OciSource {
  readonly #sources: readonly OciSource[];
  readonly #onNext: OnNext;
  #at = 0;

  constructor(sources: readonly OciSource[], onNext: OnNext) {
    this.#sources = sources;
    this.#onNext = onNext;
  }

  /** Which of them is asked now. */
  get at(): number {
    return this.#at;
  }

  get name(): string {
    return this.#sources[this.#at]?.name ?? "";
  }

  /** Throws the last one's words, with those of all before. */
  async #first<T>(ask: (source: OciSource) => Promise<T>): Promise<T> {
    const failed: string[] = [];
    for (;;) {
      const source = this.#sources[this.#at];
      if (!source) throw new Error("an image lies at no place");
      try {
        return await ask(source);
      } catch (error) {
        if (!(error instanceof OciError)) throw error;
        failed.push(error.message);
        if (this.#at + 1 >= this.#sources.length) throw new OciError(failed.join("; "), { cause: error });
        this.#at++;
        this.#onNext(error.message);
      }
    }
  }

  manifest(version: string | null): Promise<{ mediaType: string; bytes: Uint8Array }> {
    return this.#first((source) => source.manifest(version));
  }

  save(blob: Descriptor, file: string, onBytes: OnBytes): Promise<void> {
    return this.#first((source) => source.save(blob, file, onBytes));
  }
}
