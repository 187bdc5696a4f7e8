/**
 * Many jobs as one: so many at once, within one budget, results in the order of the inputs. Nothing begins before it is read. A map with a
 * name leaves a journal: what a call that ended early had ordered is followed by the next one, and nothing is paid twice. Who controls the
 * inputs: the program that calls.
 */
import { InputError, JobFailedError, LeftUndoneError, MarketError } from "../../errors.ts";
import { assertWanted } from "../../calling-off.ts";
import type { JobResult } from "../job-result.ts";
import { assertTaken } from "../not-taken.ts";
import { onAbort } from "../../on-abort.ts";
import type { RunInput } from "../run-input.ts";
import { Away } from "./away.ts";
import { MapBudget } from "./budget.ts";
import { EarlierOrders } from "./earlier-orders.ts";
import { Followed } from "./followed.ts";
import { MapJournal, NOWHERE } from "./journal.ts";
import { Inputs, type Planned } from "./inputs.ts";
import type { MapSettings, Mapped } from "./options.ts";
import { Pace } from "./pace.ts";
import { Together, ownSeat, type Seat } from "./seats.ts";
import { MapPurse } from "./purse.ts";
import { MapTally } from "./tally.ts";
import { Tries } from "./tries.ts";
import { MapTask, type MapShared, type Ran } from "./task.ts";
import type { MapPlan, MapWays } from "./ways.ts";

/** So many results wait for whoever reads them; then nothing more is ordered. */
const AHEAD_MAX = 256;

/** So many times as many as run at once are under way: those that have ended wait until the log has all of their receipts. */
const UNCHECKED_TIMES = 3;

/** These are not of one job: they end all of them. */
const ENDS_ALL: readonly string[] = ["broken_purchase_order", "no_context", "kept_differs"];
const endsAll = (error: unknown): boolean => !(error instanceof MarketError) || ENDS_ALL.includes(error.code);

/** Many jobs under way, or about to be: `for await (const { ok, result } of market.map(…))`, or `await market.map(…).all`. */
export class MapRun<T> implements AsyncIterable<Mapped<T>> {
  readonly #ways: MapWays;
  readonly #items: readonly T[];
  readonly #each: (input: T, index: number) => RunInput;
  readonly #settings: MapSettings;
  readonly #tally: MapTally;
  readonly #over = new AbortController();
  readonly #ended = Promise.withResolvers<never>();
  readonly #followed: Followed;
  #isRead = false;
  #all: Promise<Mapped<T>[]> | null = null;

  constructor(ways: MapWays, items: readonly T[], each: (input: T, index: number) => RunInput, settings: MapSettings) {
    this.#ways = ways;
    this.#items = items;
    this.#each = each;
    this.#settings = settings;
    // what has a journal to come back to runs on, unless another's failure ends all
    this.#followed = new Followed(settings.stops || settings.raises);
    this.#tally = new MapTally(items.length, () => ways.now(), settings.onProgress);
    this.#ended.promise.catch(() => {});
  }

  /** All results, in the order of the inputs. Rejects as reading them would. */
  get all(): Promise<Mapped<T>[]> {
    this.#all ??= (async () => {
      const found: Mapped<T>[] = [];
      for await (const each of this) found.push(each);
      return found;
    })();
    return this.#all;
  }

  /** Each result as soon as those before it are there, once. Whoever leaves early ends the map. */
  [Symbol.asyncIterator](): AsyncGenerator<Mapped<T>, void> {
    if (this.#isRead) throw new InputError("the results of a map are read once: keep them, or await `all` alone");
    this.#isRead = true;
    return this.#results();
  }

  async *#results(): AsyncGenerator<Mapped<T>, void> {
    const { signal, name } = this.#settings;
    assertWanted(signal ?? undefined);
    const place = name === null ? NOWHERE : await this.#ways.journal(name);
    const undo = signal ? onAbort(signal, () => this.#end(this.#leftUndone())) : () => {};
    const begun: Promise<unknown>[] = [];
    let shared: MapShared | null = null;
    try {
      shared = await this.#shared(await MapJournal.open(place, this.#ways.owner));
      yield* this.#inOrder(shared, begun);
      await shared.journal.dropOthers();
    } finally {
      undo();
      this.#over.abort();
      shared?.budget.end();
      await this.#followed.letGoOfAll();
      await Promise.allSettled(begun);
      await shared?.purse.close().catch(() => {});
      await (shared ? shared.journal.close() : place.close());
    }
  }

  async *#inOrder(shared: MapShared, begun: Promise<unknown>[]): AsyncGenerator<Mapped<T>, void> {
    const results = new Map<number, PromiseWithResolvers<Mapped<T>>>();
    const resultOf = (index: number): PromiseWithResolvers<Mapped<T>> => {
      const known = results.get(index) ?? Promise.withResolvers<Mapped<T>>();
      known.promise.catch(() => {});
      results.set(index, known);
      return known;
    };
    const { parallel, raises } = this.#settings;
    let [running, unchecked, read] = [0, 0, 0];
    const inputs = new Inputs({
      // one that failed would have ended those that came after it
      ...{ count: this.#items.length, parallel, isJoined: !raises, pace: shared.pace },
      plan: (index) => this.#plan(index, shared),
      entryOf: ({ digest }) => shared.journal.take(digest),
      // what was ordered already is followed
      earlier: async (plan, { order }) => (this.#settings.reuses && order === null ? plan.earlier() : null),
      isOff: () => shared.off.aborted,
      until: () => read + AHEAD_MAX,
    });
    const isFull = (): boolean => running >= parallel || running + unchecked >= UNCHECKED_TIMES * parallel;
    const place = async (): Promise<void> => {
      let hasEnded = false;
      const ended = (): void => {
        // whether it failed is not known yet: then nothing more was to be ordered
        if (hasEnded || raises) return;
        hasEnded = true;
        running--;
        unchecked++;
        fill();
      };
      try {
        await this.#lease(shared, await inputs.next(), ended, (index) => resultOf(index));
      } finally {
        if (hasEnded) unchecked--;
        else running--;
      }
    };
    const fill = (): void => {
      while (!isFull() && inputs.hasMore && !shared.off.aborted) {
        running++;
        begun.push(
          place().then(
            () => fill(),
            (error: unknown) => this.#end(error),
          ),
        );
      }
    };
    for (; read < this.#items.length; read++) {
      fill();
      yield await Promise.race([resultOf(read).promise, this.#ended.promise]);
      results.delete(read);
    }
  }

  /** Those that are one lease. `ended` is called when nothing of it runs any more. */
  async #lease(
    shared: MapShared,
    jobs: readonly Planned[],
    ended: () => void,
    resultOf: (index: number) => PromiseWithResolvers<Mapped<T>>,
  ): Promise<void> {
    const together =
      jobs.length > 1
        ? new Together(
            shared,
            jobs.flatMap(({ is }) => ("plan" in is ? [is.plan] : [])),
          )
        : null;
    const open = new Set(jobs.keys());
    const each = jobs.map(async (job, at) => {
      const over = (): void => void (open.delete(at) && open.size === 0 && ended());
      try {
        resultOf(job.index).resolve(await this.#one(shared, job, together?.seat(at) ?? null, over));
      } catch (error) {
        resultOf(job.index).reject(error);
        this.#end(error);
      } finally {
        together?.leave(at);
      }
    });
    await Promise.all(each);
  }

  async #plan(index: number, { away, off }: MapShared): Promise<MapPlan> {
    const run = this.#each(this.#items[index]!, index);
    assertTaken("map", run);
    for (;;)
      try {
        const plan = await this.#ways.plan(run);
        away.answered();
        return plan;
      } catch (error) {
        if (off.aborted || !(await away.passes(error, (text) => run.onWarning?.(text)))) throw error;
      }
  }

  async #one(shared: MapShared, { index, is }: Planned, seat: Seat | null, ended: () => void): Promise<Mapped<T>> {
    const place = { index, input: this.#items[index]!, isReused: false };
    this.#tally.begins();
    try {
      if ("error" in is) throw is.error;
      const { plan, entry, earlier } = is;
      if (earlier) return this.#mapped({ ...place, isReused: true }, { result: earlier, isEarlier: true }, shared);
      const ran = await new MapTask(shared, plan, entry, seat ?? ownSeat(shared, plan)).run(this.#settings.retries, ended);
      return this.#mapped(place, ran, shared);
    } catch (error) {
      if (endsAll(error) || shared.off.aborted) throw error;
      this.#tally.ends({ ok: false, isEarlier: false, costNanos: shared.budget.spentNanos });
      const failed = error instanceof Error ? error : new Error(String(error));
      if (this.#settings.raises) throw failed;
      return { ...place, isEarlier: false, ok: false, result: null, error: failed };
    }
  }

  #mapped(place: { index: number; input: T; isReused: boolean }, { result, isEarlier }: Ran, { budget }: MapShared): Mapped<T> {
    this.#tally.ends({ ok: result.ok, isEarlier, costNanos: budget.spentNanos });
    if (result.ok) return { ...place, isEarlier, ok: true, result };
    const error = new JobFailedError(result.lease, endOf(result));
    if (this.#settings.raises) this.#end(error);
    return { ...place, isEarlier, ok: false, result, error };
  }

  /** Nothing is ordered any more, and whoever reads is told why. */
  #end(error: unknown): void {
    this.#ended.reject(error);
    this.#over.abort();
  }

  #fail(error: unknown): never {
    this.#end(error);
    throw error;
  }

  #leftUndone(): LeftUndoneError {
    const { name, signal, stops } = this.#settings;
    const next = `${stops ? "what ran was stopped" : "what ran runs on"}${name === null ? "" : `; go on by the name '${name}'`}`;
    return new LeftUndoneError(`the map was called off with ${this.#tally.done} of ${this.#items.length} done: ${next}`, {
      cause: signal?.reason,
    });
  }

  async #shared(journal: MapJournal): Promise<MapShared> {
    const ways = this.#ways;
    // a broker that does not answer keeps nobody who calls it off
    const unlessEnded = <U>(asked: Promise<U>): Promise<U> => Promise.race([asked, this.#ended.promise]);
    if (journal.batch !== null) await unlessEnded(ways.closeBatch(journal.batch));
    journal.batch = null;
    const { paidNanos, heldNanos } = journal.money;
    const budget = new MapBudget(this.#settings.budgetNanos, paidNanos, heldNanos);
    const earlier = new EarlierOrders({ ways, journal, budget }, this.#over.signal);
    await unlessEnded(earlier.askOnce());
    const isOneHold = this.#settings.budgetNanos !== null && this.#settings.holdsOnce;
    return {
      ...{ ways, journal, budget, off: this.#over.signal, followed: this.#followed, tries: new Tries(), pace: new Pace(), earlier },
      ...{ away: new Away(ways), doubted: new Set<string>(), purse: new MapPurse({ ways, journal, budget }, isOneHold) },
      // without the hold none of them can be ordered
      fail: (error) => this.#fail(error),
    };
  }
}

const endOf = ({ end: { reason }, exitCode }: JobResult): string =>
  exitCode === null || exitCode === 0 ? reason : `${reason}, exit code ${exitCode}`;
