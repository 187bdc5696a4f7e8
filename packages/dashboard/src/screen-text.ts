/**
 * The end of what a job prints, as text, up to a bound: what is older is dropped and said to be. Who controls the input: the job, every
 * byte.
 */
const SHOWN_MAX = 200_000;

export class ScreenText {
  #decoder = new TextDecoder();
  #text = "";
  #dropped = 0;

  get text(): string {
    return this.#text;
  }

  /** How many characters came before. */
  get dropped(): number {
    return this.#dropped;
  }

  add(bytes: Uint8Array): void {
    const text = this.#text + this.#decoder.decode(bytes, { stream: true });
    // cut seldom: half is dropped at a time
    const over = text.length > 2 * SHOWN_MAX ? text.length - SHOWN_MAX : 0;
    this.#dropped += over;
    this.#text = over === 0 ? text : text.slice(over);
  }

  clear(): void {
    [this.#decoder, this.#text, this.#dropped] = [new TextDecoder(), "", 0];
  }
}
