/** So many bytes of a stream, no more. Who controls the inputs: the stream's other side. */
export class ByteReader {
  readonly #reader: ReadableStreamDefaultReader<Uint8Array>;
  #held: Uint8Array = new Uint8Array();

  constructor(readable: ReadableStream<Uint8Array>) {
    this.#reader = readable.getReader();
  }

  /** Throws where the stream ends before they have come. The caller bounds `count`. */
  async exactly(count: number): Promise<Uint8Array> {
    const taken = new Uint8Array(count);
    for (let size = 0; size < count;) {
      if (this.#held.length === 0) {
        const { done, value } = await this.#reader.read();
        if (done) throw new Error("the connection has ended");
        this.#held = value;
      }
      const part = this.#held.subarray(0, count - size);
      taken.set(part, size);
      size += part.length;
      this.#held = this.#held.subarray(part.length);
    }
    return taken;
  }

  /** So many bytes that say nothing to us. */
  async skip(count: number): Promise<void> {
    for (let left = count; left > 0;) left -= (await this.exactly(Math.min(left, 64 * 1024))).length;
  }

  close(): void {
    void this.#reader.cancel().catch(() => {});
  }
}
