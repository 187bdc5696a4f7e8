/**
 * How a call goes on, for an agent that asks for it: clients give up a call of which they hear nothing, most of them after a minute, and a
 * run that is given up is stopped. Invariants: nothing is sent without being asked for, nor while an earlier notice is on its way, nor once
 * the call is answered; numbers rise. Who controls the inputs: the agent (whether it asks, and by which token), the server (states in
 * words).
 */
import { duration } from "../output/ui.ts";

/** Often enough for a client that waits for ten seconds. */
const EVERY_MS = 4_000;
/** As many changes are said at once between two of those: a server may tell of its states and problems as often as it likes. */
const CHANGES_MAX = 8;

export interface Notices {
  now(): number;
  /** Calls again and again until it is told to stop. */
  every(ms: number, call: () => void): () => void;
  /** Rejects when nobody can be told any more. */
  send(progress: number, message: string): Promise<void>;
}

export const CLOCK: Pick<Notices, "now" | "every"> = {
  now: () => performance.now(),
  every(ms, call) {
    const timer = setInterval(call, ms).unref();
    return () => clearInterval(timer);
  },
};

export class Progress {
  readonly #to: Notices | null;
  readonly #began: number;
  readonly #stop: () => void;
  #number = 0;
  #what = "under way";
  /** Since it was last said how it goes on. */
  #changes = 0;
  #isOver = false;
  #isSending = false;

  /** `to`: null where nobody asked. */
  constructor(to: Notices | null) {
    this.#to = to;
    this.#began = to?.now() ?? 0;
    this.#stop = to?.every(EVERY_MS, () => this.#again()) ?? (() => {});
  }

  /** What it is at from now on. */
  says(what: string): void {
    if (what === this.#what) return;
    this.#what = what;
    if (this.#changes++ < CHANGES_MAX) this.#tell();
  }

  /** It is answered. */
  end(): void {
    this.#isOver = true;
    this.#stop();
  }

  #again(): void {
    this.#changes = 0;
    this.#tell();
  }

  #tell(): void {
    if (this.#to === null || this.#isOver || this.#isSending) return;
    this.#isSending = true;
    const sent = this.#to.send(++this.#number, `${this.#what}, ${duration(Math.round(this.#to.now() - this.#began))}`);
    // who is gone is noticed where the pipes are
    void sent.catch(() => this.end()).finally(() => (this.#isSending = false));
  }
}
