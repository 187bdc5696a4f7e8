/**
 * Bytes that come in pieces, held in one place: however small the pieces are, what they take of memory is bounded by their bytes. Who
 * controls the inputs: the guest (how small they are), which whoever gathers bounds.
 */
export class Gathered {
  #room = new Uint8Array(0);
  #size = 0;

  get size(): number {
    return this.#size;
  }

  add(bytes: Uint8Array): void {
    const size = this.#size + bytes.length;
    if (size > this.#room.length) {
      const larger = new Uint8Array(Math.max(size, 2 * this.#room.length));
      larger.set(this.bytes);
      this.#room = larger;
    }
    this.#room.set(bytes, this.#size);
    this.#size = size;
  }

  /** What has come so far, until more is added. */
  get bytes(): Uint8Array<ArrayBuffer> {
    return this.#room.subarray(0, this.#size);
  }
}
