/**
 * The end of what a job prints, as it is shown, up to a bound in characters and lines: what is older is dropped and said to be. A piece is
 * spelt out once, when it comes. Who controls the input: the job, every byte.
 */
import { printed } from "./words.ts";

/** Of what is shown; a browser lays out so much, in however many lines, within a frame or two. */
const CHARS_MAX = 48_000;
const LINES_MAX = 1_000;
/** A piece is read in such parts, so that what is dropped at once costs nothing to spell out. */
const PART_BYTES = 64 * 1024;

/** Where the last lines begin, so many of them. */
function beginOfLast(text: string, lines: number): number {
  let at = text.length;
  for (let i = 0; i < lines && at > 0; i++) at = text.lastIndexOf("\n", at - 1);
  return at < 0 ? 0 : at + 1;
}

export class ScreenText {
  #decoder = new TextDecoder();
  #text = "";
  #bytes = 0;
  #isCut = false;
  /** The last piece ended in it: whether it ends a line, the next one says. */
  #return = "";

  get text(): string {
    return this.#text;
  }

  /** Whether something came before what is shown. */
  get isCut(): boolean {
    return this.#isCut;
  }

  /** How much has come in all. */
  get bytes(): number {
    return this.#bytes;
  }

  add(bytes: Uint8Array): void {
    this.#bytes += bytes.length;
    for (let at = 0; at < bytes.length; at += PART_BYTES) this.#addPart(bytes.subarray(at, at + PART_BYTES));
  }

  #addPart(bytes: Uint8Array): void {
    const come = this.#return + this.#decoder.decode(bytes, { stream: true });
    this.#return = come.endsWith("\r") ? "\r" : "";
    this.#text += printed(this.#return === "" ? come : come.slice(0, -1));
    this.#cut();
  }

  /** A letter of two halves is not cut between them. */
  #cut(): void {
    const over = this.#text.length - CHARS_MAX;
    const byChars = over > 0 && /[\uDC00-\uDFFF]/.test(this.#text[over] ?? "") ? over + 1 : Math.max(over, 0);
    const begin = Math.max(byChars, beginOfLast(this.#text, LINES_MAX));
    if (begin === 0) return;
    this.#text = this.#text.slice(begin);
    this.#isCut = true;
  }

  clear(): void {
    [this.#decoder, this.#text, this.#bytes, this.#isCut, this.#return] = [new TextDecoder(), "", 0, false, ""];
  }
}
