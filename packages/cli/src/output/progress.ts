/** A line on a terminal that says how far something has come: bytes, rate, what is left. Nothing where nobody looks. */
import { sayOver } from "./terminal.ts";

const EVERY_MS = 200;
const KIB = 1024;
const UNITS = ["B", "KiB", "MiB", "GiB", "TiB"] as const;
const MS = 1_000;

function bytesText(bytes: number): string {
  let value = bytes;
  let unit = 0;
  for (; value >= KIB && unit < UNITS.length - 1; unit++) value /= KIB;
  return `${unit === 0 ? value : value.toFixed(1)} ${UNITS[unit]}`;
}

export function progressText(what: string, bytes: number, inAll: number | null, ms: number): string {
  const rate = ms > 0 ? (bytes * MS) / ms : 0;
  const of = inAll === null ? "" : ` of ${bytesText(inAll)}`;
  const left = inAll === null || rate === 0 || bytes >= inAll ? "" : `, ${Math.ceil((inAll - bytes) / rate)} s left`;
  return `${what}: ${bytesText(bytes)}${of}, ${bytesText(rate)}/s${left}`;
}

export class ProgressLine {
  readonly #what: string;
  readonly #began = performance.now();
  #shownAt = 0;
  #isShown = false;

  constructor(what: string) {
    this.#what = what;
  }

  show(bytes: number, inAll: number | null): void {
    const now = performance.now();
    if (now - this.#shownAt < EVERY_MS) return;
    this.#shownAt = now;
    this.#isShown = true;
    sayOver(progressText(this.#what, bytes, inAll, now - this.#began));
  }

  /** Takes the line away. */
  end(): void {
    if (this.#isShown) sayOver("");
  }
}
