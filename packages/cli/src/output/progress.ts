/**
 * How far something has come: bytes, rate, what is left. On a terminal a line that stands; where nobody looks, one every now and then, so
 * that a log shows that it goes on.
 */
import { sayOver } from "./over.ts";
import { dim, say } from "./terminal.ts";

const EVERY_MS = 200;
const EVERY_MS_IN_LOGS = 10_000;
const KIB = 1024;
const UNITS = ["B", "KiB", "MiB", "GiB", "TiB"] as const;
const MS = 1_000;

export function amountText(bytes: number): string {
  let value = bytes;
  let unit = 0;
  for (; value >= KIB && unit < UNITS.length - 1; unit++) value /= KIB;
  return `${unit === 0 ? value : value.toFixed(1)} ${UNITS[unit]}`;
}

export const perSecond = (bytes: number, ms: number): number => (ms > 0 ? (bytes * MS) / ms : 0);
export const rateText = (bytes: number, ms: number): string => `${amountText(Math.round(perSecond(bytes, ms)))}/s`;

/** `before`: so many of the bytes were there when it began. */
export function progressText(what: string, bytes: number, inAll: number | null, ms: number, before = 0): string {
  const rate = perSecond(bytes - before, ms);
  const of = inAll === null ? "" : ` of ${amountText(inAll)}`;
  const left = inAll === null || rate === 0 || bytes >= inAll ? "" : `, ${Math.ceil((inAll - bytes) / rate)} s left`;
  return `${what}: ${amountText(bytes)}${of}, ${rateText(bytes - before, ms)}${left}`;
}

interface Shown {
  /** Nobody looks: what it says stays. */
  isLog: boolean;
  now(): number;
  over(line: string): void;
  log(line: string): void;
}

const STDERR: Shown = {
  get isLog() {
    return !process.stderr.isTTY;
  },
  now: () => performance.now(),
  over: sayOver,
  log: (line) => say(dim(line)),
};

export class ProgressLine {
  readonly #what: string;
  readonly #to: Shown;
  #began: number;
  #shownAt: number;
  #isShown = false;

  constructor(what: string, to: Shown = STDERR) {
    this.#what = what;
    this.#to = to;
    this.#began = to.now();
    // a log need not hear that something has begun that may be over in no time
    this.#shownAt = to.isLog ? this.#began : Number.NEGATIVE_INFINITY;
  }

  /** `before`: so many of the bytes were there when it began. */
  show(bytes: number, inAll: number | null, before = 0): void {
    this.tell((ms) => progressText(this.#what, bytes, inAll, ms, before));
  }

  /** `textOf`: what is to be shown so long after it began. */
  tell(textOf: (ms: number) => string): void {
    const { isLog } = this.#to;
    const now = this.#to.now();
    if (now - this.#shownAt < (isLog ? EVERY_MS_IN_LOGS : EVERY_MS)) return;
    this.#shownAt = now;
    this.#isShown = true;
    const text = textOf(now - this.#began);
    if (isLog) this.#to.log(text);
    else this.#to.over(text);
  }

  /** Takes the line away, where one stands; what is shown then begins anew. */
  end(): void {
    if (this.#isShown && !this.#to.isLog) this.#to.over("");
    this.#isShown = false;
    this.#began = this.#to.now();
  }
}
