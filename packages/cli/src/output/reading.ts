/**
 * How far the files of this machine are read that a run is made of: every byte is, before anything is quoted. A large file is told of by
 * itself, small ones together. Who controls the names: whoever runs this.
 */
import type { ReadProgress } from "@xenoservers/sdk";
import { ProgressLine, amountText, progressText, rateText } from "./progress.ts";
import { countOf } from "./ui.ts";

/** Of less nothing is said: it is read before anybody looks. */
const SAID_FROM_BYTES = 64 * 1024 * 1024;

type Line = Pick<ProgressLine, "tell" | "end">;

const isLarge = ({ bytesInAll }: ReadProgress): boolean => bytesInAll !== null && bytesInAll >= SAID_FROM_BYTES;

export class ReadingLine {
  readonly #line: Line;
  #last: ReadProgress | null = null;
  /** Small ones that were read one behind the other: how many there are nobody has counted. */
  #files = 0;
  #bytes = 0;

  constructor(line: Line = new ProgressLine("reading")) {
    this.#line = line;
  }

  read(now: ReadProgress): void {
    const last = this.#last;
    const isNext = last === null || last.name !== now.name || last.bytesInAll !== now.bytesInAll || last.bytes >= now.bytes;
    this.#last = now;
    if (isNext && last !== null && (isLarge(last) || isLarge(now))) this.end();
    if (isLarge(now)) return this.#large(now);
    this.#small(isNext ? now.bytes : now.bytes - last.bytes, isNext);
  }

  /** What is told then begins anew. */
  end(): void {
    this.#line.end();
    [this.#files, this.#bytes] = [0, 0];
  }

  /** Its name comes last, where a narrow terminal cuts. */
  #large({ name, bytes, bytesInAll }: ReadProgress): void {
    this.#line.tell((ms) => `${progressText("reading", bytes, bytesInAll, ms)} (${name})`);
  }

  #small(bytes: number, isNext: boolean): void {
    this.#bytes += bytes;
    if (isNext) this.#files++;
    if (this.#bytes < SAID_FROM_BYTES) return;
    this.#line.tell((ms) => `reading: ${amountText(this.#bytes)} in ${countOf(this.#files, "file")}, ${rateText(this.#bytes, ms)}`);
  }
}
