/** The end of what came, as it came, up to a bound: for a terminal, which reads more in it than text. Who controls the input: the job. */

/** What a terminal has to take in at once where it is opened late: some screens full of colours. */
const HELD_BYTES_MAX = 256 * 1024;

export class RawTail {
  #pieces: Uint8Array[] = [];
  #held = 0;
  #end = 0;
  #beginnings = 0;

  /** Another number says that what came before is void. */
  get beginnings(): number {
    return this.#beginnings;
  }

  /** How much has come in all. */
  get end(): number {
    return this.#end;
  }

  add(bytes: Uint8Array): void {
    const last = new Uint8Array(bytes.subarray(-HELD_BYTES_MAX)); // a copy, also of a Buffer
    this.#end += bytes.length;
    this.#pieces.push(last);
    this.#held += last.length;
    while (this.#held - (this.#pieces[0]?.length ?? 0) >= HELD_BYTES_MAX) this.#held -= this.#pieces.shift()?.length ?? 0;
  }

  /** From there to the end; where some of it is not held any more, what is, which begins later. */
  after(at: number): { pieces: readonly Uint8Array[]; begin: number } {
    let begin = this.#end - this.#held;
    const pieces: Uint8Array[] = [];
    for (const piece of this.#pieces) {
      const skipped = Math.min(Math.max(at - begin, 0), piece.length);
      if (skipped < piece.length) pieces.push(piece.subarray(skipped));
      begin += piece.length;
    }
    return { pieces, begin: Math.max(at, this.#end - this.#held) };
  }

  clear(): void {
    [this.#pieces, this.#held, this.#end] = [[], 0, 0];
    this.#beginnings++;
  }
}
