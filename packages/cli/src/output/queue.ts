/**
 * An order until it has a lease: its place where it waits for room, as it changes, and Ctrl-C, which gives it up, also where its answer is
 * on the way. Who controls the input: the broker, the place.
 */
import { AbortedError, GivenUpError, NoLongerWaiting, type Watching } from "@xenoservers/sdk";
import { LEFT_SAYS, onSignals } from "./interrupt.ts";
import { sayOver } from "./over.ts";
import { dim, say } from "./terminal.ts";
import { EXIT } from "./exit.ts";
import { UserError, countOf, duration } from "./ui.ts";

export function placeText(ahead: number, leftMs: number): string {
  const place = ahead === 0 ? "it is next" : `${countOf(ahead, "order")} before it`;
  return `queue    the market is full: ${place}, for at most ${duration(Math.max(0, leftMs))} more (Ctrl-C gives it up)`;
}

class QueueLine {
  #ahead: number | null = null;
  readonly #quiet: boolean;

  constructor(quiet: boolean) {
    this.#quiet = quiet;
  }

  show(ahead: number, leftMs: number): void {
    if (this.#quiet) return;
    // in a log each place once; on a terminal the time goes on too
    if (process.stderr.isTTY) sayOver(placeText(ahead, leftMs));
    else if (ahead !== this.#ahead) say(dim(placeText(ahead, leftMs)));
    this.#ahead = ahead;
  }

  end(): void {
    if (this.#ahead !== null) sayOver("");
    this.#ahead = null;
  }
}

interface Queued {
  quiet: boolean;
  brokerNow(): number;
}

/** One order until it has a lease. */
export class Queue {
  /** For the call that orders. */
  readonly watching: Pick<Watching, "onPlace" | "signal">;
  readonly #line: QueueLine;
  readonly #left = new AbortController();
  readonly #unheard = Promise.withResolvers<never>();
  readonly #done: () => void;

  constructor({ quiet, brokerNow }: Queued) {
    const line = (this.#line = new QueueLine(quiet));
    this.#unheard.promise.catch(() => {});
    this.#done = onSignals(() => {
      // a second time does not wait for a broker that does not answer
      if (this.isGivenUp) return this.#unheard.reject(new UserError(LEFT_SAYS.unheard, EXIT.interrupted));
      line.end();
      if (!quiet) say(dim("         the order is given up once the broker answers; Ctrl-C again does not wait for that"));
      this.#left.abort(new Error("interrupted"));
    });
    this.watching = { onPlace: (ahead, until) => line.show(ahead, until - brokerNow()), signal: this.#left.signal };
  }

  /** Given when somebody interrupts it. */
  get signal(): AbortSignal {
    return this.#left.signal;
  }

  /** Somebody has interrupted it. */
  get isGivenUp(): boolean {
    return this.#left.signal.aborted;
  }

  /** What `ordering` comes to; rejects before where nobody wants to wait for that. */
  until<T>(ordering: Promise<T>): Promise<T> {
    ordering.catch(() => {});
    return Promise.race([ordering, this.#unheard.promise]);
  }

  /** It waits no more. */
  placed(): void {
    this.#line.end();
  }

  /** Whatever interrupts is for somebody else. */
  end(): void {
    this.placed();
    this.#done();
  }

  /** What became of the order, in words where it was given up here. */
  told(error: unknown): unknown {
    if (!this.isGivenUp) return error;
    if (error instanceof NoLongerWaiting || error instanceof GivenUpError) return new UserError(LEFT_SAYS[error.left], EXIT.interrupted);
    return error instanceof AbortedError ? new UserError("nothing was ordered", EXIT.interrupted) : error;
  }
}
