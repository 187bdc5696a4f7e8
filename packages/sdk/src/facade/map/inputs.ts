/**
 * The inputs of a map, read in their order, and which of those that follow each other are one lease. Nothing is read ahead of its need, but
 * for those that were to be of one lease and turned out to be of another kind.
 */
import type { JobResult } from "../job-result.ts";
import type { JournalEntry } from "./journal.ts";
import type { Pace } from "./pace.ts";
import type { MapPlan } from "./ways.ts";

/** One that can be run, or has run; `earlier`: what an earlier receipt proves of the same work. */
interface Ready {
  plan: MapPlan;
  entry: JournalEntry;
  earlier: JobResult | null;
}

/** An input as it was read. */
export interface Planned {
  index: number;
  is: Ready | { error: unknown };
}

interface InputWays {
  count: number;
  parallel: number;
  /** Whether several may be one lease. */
  isJoined: boolean;
  pace: Pick<Pace, "size">;
  /** Rejects where nothing can be made of it. */
  plan(index: number): Promise<MapPlan>;
  /** In the order of the inputs. */
  entryOf(plan: MapPlan): JournalEntry;
  earlier(plan: MapPlan, entry: JournalEntry): Promise<JobResult | null>;
  /** No more is read from then on. */
  isOff(): boolean;
  /** So far it may be read now. */
  until(): number;
}

type Joins = NonNullable<MapPlan["joins"]>;

export class Inputs {
  readonly #ways: InputWays;
  readonly #read: Planned[] = [];
  #next = 0;
  #turn: Promise<void> = Promise.resolve();

  constructor(ways: InputWays) {
    this.#ways = ways;
  }

  get hasMore(): boolean {
    return this.#read.length > 0 || (this.#next < this.#ways.count && this.#next < this.#ways.until());
  }

  /** Those of the next lease; none where all are taken. */
  async next(): Promise<Planned[]> {
    const before = this.#turn;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#turn = promise;
    await before;
    try {
      return await this.#take();
    } finally {
      resolve();
    }
  }

  async #take(): Promise<Planned[]> {
    await this.#readAhead(1);
    const first = this.#read.shift();
    if (!first) return [];
    const joins = this.#joinsOf(first);
    if (joins === null) return [first];
    const { count, parallel, pace } = this.#ways;
    const size = pace.size(count - this.#next + this.#read.length + 1, parallel, joins);
    await this.#readAhead(size - 1);
    const taken = [first];
    let { bytes } = joins;
    while (taken.length < size) {
      const next = this.#read[0] && this.#joinsOf(this.#read[0]);
      if (!next || next.kind !== joins.kind || (bytes += next.bytes) > joins.bytesMax) break;
      taken.push(this.#read.shift()!);
    }
    return taken;
  }

  /** Null: it is a lease of its own, or needs none. */
  #joinsOf({ is }: Planned): Joins | null {
    if (!this.#ways.isJoined || "error" in is || is.earlier !== null || is.entry.isOver || is.entry.order !== null) return null;
    return is.plan.joins;
  }

  /** Until so many wait to be taken, or there are no more. */
  async #readAhead(wanted: number): Promise<void> {
    const { count, until, isOff } = this.#ways;
    const more = isOff() ? 0 : Math.min(wanted - this.#read.length, count - this.#next, until() - this.#next);
    if (more <= 0) return;
    const indexes = Array.from({ length: more }, () => this.#next++);
    const planned = await Promise.all(indexes.map((index) => this.#planned(index)));
    // the journal tells equal ones apart by their order
    const known = planned.map(({ index, is }) => ({ index, is: "error" in is ? is : { plan: is, entry: this.#ways.entryOf(is) } }));
    this.#read.push(
      ...(await Promise.all(known.map(async ({ index, is }) => ({ index, is: "error" in is ? is : await this.#ready(is) })))),
    );
  }

  async #planned(index: number): Promise<{ index: number; is: MapPlan | { error: unknown } }> {
    try {
      return { index, is: await this.#ways.plan(index) };
    } catch (error) {
      return { index, is: { error } };
    }
  }

  async #ready({ plan, entry }: Omit<Ready, "earlier">): Promise<Planned["is"]> {
    try {
      return { plan, entry, earlier: await this.#ways.earlier(plan, entry) };
    } catch (error) {
      return { error };
    }
  }
}
