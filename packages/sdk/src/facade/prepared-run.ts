/**
 * A run that was read, quoted and not ordered: what it would cost is known before anything is signed, and what was quoted is what is
 * ordered. Who controls the inputs: the program that calls; the broker (offers, how a try ended).
 */
import { processOf } from "@xenoservers/protocol";
import type { BuiltWork } from "../built.ts";
import { InputError } from "../errors.ts";
import type { Quoted, Wanted } from "../order.ts";
import { isWorthRetrying } from "../worth-retrying.ts";
import type { Planned } from "./here.ts";
import type { Job } from "./job.ts";
import type { JobResult } from "./job-result.ts";
import { assertTaken } from "./not-taken.ts";
import type { ReplicasWatching, ReplicatedJob } from "./replicated-job.ts";
import type { Watching } from "./run-input.ts";

export interface Prepared {
  planned: Planned;
  wanted: Wanted;
  quotes: [Quoted, ...Quoted[]];
  work: BuiltWork;
}

/** What a run that is ready needs of its market. */
interface PreparedWays {
  /** Throws ContextError where the market's key may not. */
  assertMay(...needs: ("read" | "spend")[]): void;
  order(prepared: Prepared, watching: Watching): Promise<Job>;
  replicas(prepared: Prepared, watching: ReplicasWatching): Promise<ReplicatedJob>;
}

/** A run that is ready to be ordered: `const run = await market.prepare({ … })`. */
export class PreparedRun {
  /** The cheapest offer that it would be placed on now, and what it would cost at most. */
  readonly quoted: Quoted;
  /** The same of each owner whose server fits, cheapest first, where it is for several. */
  readonly quotes: readonly [Quoted, ...Quoted[]];
  /** What is wanted of the market, with its label and account. */
  readonly wanted: Wanted;
  /** What is to run, every byte of it. */
  readonly work: BuiltWork;
  readonly #ways: PreparedWays;
  readonly #prepared: Prepared;

  constructor(ways: PreparedWays, prepared: Prepared) {
    this.#ways = ways;
    this.#prepared = prepared;
    const { quotes, wanted, work } = prepared;
    [this.quoted, this.quotes, this.wanted, this.work] = [quotes[0], quotes, wanted, work];
  }

  /** Orders it: resolves when a server was found, which it may wait for, and the purchase order checked. */
  async run(watching: Watching = {}): Promise<Job> {
    if (this.#isFed && watching.onInput === undefined)
      throw new InputError("its program reads what onInput gives: give onInput here, too, or prepare it without");
    return this.#order(watching, "spend", "read");
  }

  /** Orders it where it is for several: the same job on servers of so many owners, of which all that is told comes by their number. */
  async replicas(watching: ReplicasWatching = {}): Promise<ReplicatedJob> {
    this.#ways.assertMay("spend", "read");
    if (!this.#isSeveral) throw new InputError("it is for one server: give replicas where it is prepared");
    return this.#ways.replicas(this.#prepared, watching);
  }

  /** Orders it and lets go of it when it runs: its lease. Takes no key that may read. Rejects where it never runs. */
  async start(watching: Watching = {}): Promise<string> {
    assertTaken("start", watching);
    const job = await this.#order(watching, "spend");
    try {
      await job.running;
      return job.lease;
    } finally {
      job.detach();
    }
  }

  /**
   * The same for another try, with what the one that came to this has left of its budget. Null where another would come to the same, or
   * nothing is left.
   */
  again({ end, bill }: Pick<JobResult, "end" | "bill">): PreparedRun | null {
    const budgetNanos = this.wanted.budgetNanos - bill.dueNanos;
    if (!isWorthRetrying(end.reason) || budgetNanos <= 0n) return null;
    return new PreparedRun(this.#ways, { ...this.#prepared, wanted: { ...this.wanted, budgetNanos } });
  }

  get #isSeveral(): boolean {
    return (this.wanted.replicas ?? 1) > 1;
  }

  get #isFed(): boolean {
    const { spec } = this.work;
    return "vm" in spec && processOf(spec.vm).stdin;
  }

  async #order(watching: Watching, ...needs: ("read" | "spend")[]): Promise<Job> {
    this.#ways.assertMay(...needs);
    if (this.#isSeveral) throw new InputError("it is for several servers: order it by run.replicas");
    return this.#ways.order(this.#prepared, watching);
  }
}
