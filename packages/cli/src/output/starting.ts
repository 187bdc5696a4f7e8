/**
 * What stands on a terminal while a server makes ready what it was sent: a disk built of an image, a machine booted, a module rewritten. It
 * says how long that has taken; how much there is to do only the server knows. Where nobody looks nothing is said.
 */
import { sayOver } from "./over.ts";
import { dim, say } from "./terminal.ts";
import { duration } from "./ui.ts";

const EVERY_MS = 1_000;
/** What took less is told by what comes of it. */
const SAID_FROM_MS = 3_000;

interface Shown {
  now(): number;
  over(line: string): void;
  log(line: string): void;
  /** Calls again and again until it is told to stop. */
  every(ms: number, call: () => void): () => void;
}

const ON_TERMINAL: Shown = {
  now: () => performance.now(),
  over: sayOver,
  log: (line) => say(dim(line)),
  every(ms, call) {
    const timer = setInterval(call, ms).unref();
    return () => clearInterval(timer);
  },
};

export class Starting {
  readonly #what: string;
  readonly #to: Shown | null;
  #began: number | null = null;
  #stop: () => void = () => {};

  /** `what`: in words, such as `booting`. `to`: null where nobody looks. */
  constructor(what: string, to: Shown | null) {
    this.#what = what;
    this.#to = to;
  }

  static here(what: string, quiet: boolean): Starting {
    return new Starting(what, quiet || !process.stderr.isTTY ? null : ON_TERMINAL);
  }

  /** As the session tells of it. */
  state(state: string): void {
    if (state === "preparing") return this.#begin();
    if (state === "reconnecting") return;
    this.#end(state === "running");
  }

  #begin(): void {
    const to = this.#to;
    if (to === null || this.#began !== null) return;
    const began = to.now();
    this.#began = began;
    this.#stop = to.every(EVERY_MS, () => to.over(`${this.#what}, ${duration(Math.round(to.now() - began))}`));
  }

  #end(runs: boolean): void {
    if (this.#to === null || this.#began === null) return;
    this.#stop();
    this.#to.over("");
    const ms = Math.round(this.#to.now() - this.#began);
    this.#began = null;
    if (runs && ms >= SAID_FROM_MS) this.#to.log(`started  after ${duration(ms)}`);
  }
}
