/**
 * How far files are that are read before anything is ordered, or move to and from a machine, and how fast. Who controls the inputs: whoever
 * chose the file; the guest (names, sizes).
 */
import type { ReadProgress } from "@xenoservers/sdk/machines";
import { Pace, paceText } from "../pace.ts";
import { bytesText, said } from "../words.ts";

/** A page has to lay out anew what it shows. */
const SHOWN_EVERY_MS = 100;
const NAME_LONGEST = 80;

export interface Read extends ReadProgress {
  /** Null: it is not known yet. */
  bytesPerSecond: number | null;
}

/** One quote's files, one after another. */
export class Reading {
  #name = "";
  #pace = new Pace(0, 0);
  #bytes = 0;
  #shownMs = -Infinity;

  /** Null: it is not worth showing. `nowMs`: of a clock that never goes back. */
  told(progress: ReadProgress, nowMs: number): Read | null {
    const { name, bytes } = progress;
    if (name !== this.#name || bytes < this.#bytes) {
      this.#name = name;
      this.#pace = new Pace(bytes, nowMs);
      this.#shownMs = -Infinity;
    }
    this.#bytes = bytes;
    if (nowMs - this.#shownMs < SHOWN_EVERY_MS) return null;
    this.#shownMs = nowMs;
    return { ...progress, bytesPerSecond: this.#pace.at(bytes, nowMs) };
  }
}

/** `verb`: what is done with it. */
export function progressText({ name, bytes, bytesInAll, bytesPerSecond }: Read, verb = "Reading"): string {
  // a file of a guest grows while it comes
  const isKnown = bytesInAll !== null && bytes <= bytesInAll;
  const done = isKnown ? `${bytesText(bytes)} of ${bytesText(bytesInAll)}` : bytesText(bytes);
  const pace = paceText(bytesPerSecond, isKnown ? bytesInAll - bytes : null);
  return `${verb} ${said(name.toWellFormed(), NAME_LONGEST)}: ${done}${pace}`;
}
