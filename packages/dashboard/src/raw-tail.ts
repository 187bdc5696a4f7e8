/** The end of what came, as it came, up to a bound: for a terminal, which reads more in it than text. Who controls the input: the job. */

/** What a terminal has to take in at once where it is opened late: some screens full of colours. */
const HELD_BYTES_MAX = 256 * 1024;

export class RawTail {
  /** Goes round: so much is held, in however small pieces it comes. Null: nothing has come. */
  #ring: Uint8Array | null = null;
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
    this.#ring ??= new Uint8Array(HELD_BYTES_MAX);
    this.#end += bytes.length;
    const last = bytes.subarray(-HELD_BYTES_MAX);
    const at = (this.#end - last.length) % HELD_BYTES_MAX;
    const toTurn = HELD_BYTES_MAX - at;
    this.#ring.set(last.subarray(0, toTurn), at);
    this.#ring.set(last.subarray(toTurn), 0);
  }

  /** From there to the end; where some of it is not held any more, what is, which begins later. */
  after(at: number): { bytes: Uint8Array; begin: number } {
    const begin = Math.max(at, this.#end - HELD_BYTES_MAX);
    const bytes = new Uint8Array(Math.max(this.#end - begin, 0));
    if (this.#ring === null) return { bytes, begin };
    const from = begin % HELD_BYTES_MAX;
    const toTurn = this.#ring.subarray(from, from + bytes.length);
    bytes.set(toTurn);
    bytes.set(this.#ring.subarray(0, bytes.length - toTurn.length), toTurn.length);
    return { bytes, begin };
  }

  clear(): void {
    this.#end = 0;
    this.#beginnings++;
  }
}
