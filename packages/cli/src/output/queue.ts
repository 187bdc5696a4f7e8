/** An order that waits for room: its place, as it changes, and Ctrl-C, which gives it up. Who controls the input: the broker, the place. */
import { NoLongerWaiting, placeOrder, type BoundOrder, type MarketClient, type Wanted } from "@xenoservers/sdk";
import { LEFT_SAYS, onSignals } from "./interrupt.ts";
import { dim, say, sayOver } from "./terminal.ts";
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
  }
}

/** The lease of an order that may wait. */
export async function placeOrWait(client: MarketClient, wanted: Wanted, jobHash: string, quiet: boolean): Promise<BoundOrder> {
  const line = new QueueLine(quiet);
  const left = new AbortController();
  const done = wanted.waitMs === undefined ? () => {} : onSignals(() => left.abort());
  try {
    return await placeOrder(client, wanted, jobHash, {
      onPlace: (ahead, until) => line.show(ahead, until - client.brokerNow()),
      signal: left.signal,
    });
  } catch (error) {
    if (!(error instanceof NoLongerWaiting)) throw error;
    line.end();
    throw new UserError(LEFT_SAYS[error.left], EXIT.interrupted);
  } finally {
    line.end();
    done();
  }
}
