/**
 * What an earlier call of a map left under way, until one of its jobs follows it: an order that was never sent holds nothing, and its
 * inputs come together again; a lease that has ended holds no more than it cost. So nothing waits for money that no job of this call would
 * give back. Who controls the inputs: the broker (what became of an order).
 */
import type { MapBudget } from "./budget.ts";
import type { JournalEntry, MapJournal } from "./journal.ts";
import type { MapWays } from "./ways.ts";

const AGAIN_MS = 1_000;

interface Shared {
  ways: Pick<MapWays, "leaseOf" | "dueOf" | "sleep">;
  journal: Pick<MapJournal, "underWay" | "forget">;
  budget: Pick<MapBudget, "settle" | "onShort" | "isShort">;
}

export class EarlierOrders {
  readonly #shared: Shared;
  readonly #off: AbortSignal;
  /** That nobody follows yet, by order. */
  readonly #left = new Map<string, Set<JournalEntry>>();
  /** As what each of a lease that has ended is counted. */
  readonly #counted = new Map<JournalEntry, bigint>();
  #isLooking = false;

  /** `off`: nothing is ordered any more. */
  constructor(shared: Shared, off: AbortSignal) {
    this.#shared = shared;
    this.#off = off;
    for (const entry of shared.journal.underWay) {
      const order = entry.order ?? "";
      this.#left.set(order, (this.#left.get(order) ?? new Set()).add(entry));
    }
    shared.budget.onShort = () => void this.#look();
  }

  /** What became of each, before anything is held. Where the broker cannot be asked, whoever follows them asks. */
  async askOnce(): Promise<void> {
    await this.#each((order, entries) => this.#ended(order, entries));
  }

  /** From now on its job says what it holds. Returns as what it was counted instead of held; null: it was not. */
  take(entry: JournalEntry): bigint | null {
    for (const [order, entries] of this.#left) if (entries.delete(entry) && entries.size === 0) this.#left.delete(order);
    const counted = this.#counted.get(entry) ?? null;
    this.#counted.delete(entry);
    return counted;
  }

  /** As long as somebody waits for what is held. */
  async #look(): Promise<void> {
    if (this.#isLooking) return;
    this.#isLooking = true;
    while (!this.#off.aborted && this.#left.size > 0 && this.#shared.budget.isShort) {
      const before = this.#left.size;
      await this.#each((order, entries) => this.#ended(order, entries));
      if (this.#left.size === before) await this.#shared.ways.sleep(AGAIN_MS);
    }
    this.#isLooking = false;
  }

  /** What cannot be asked now is left as it is. */
  async #each(ask: (order: string, entries: ReadonlySet<JournalEntry>) => Promise<unknown>): Promise<void> {
    await Promise.all([...this.#left].map(([order, entries]) => ask(order, entries).catch(() => {})));
  }

  /** Where it is by now: what nobody took is placed again. Null: nothing came of it, and it is forgotten. */
  async #leaseOf(order: string, entries: ReadonlySet<JournalEntry>): Promise<string | null> {
    const { ways, journal, budget } = this.#shared;
    const lease = await ways.leaseOf(order);
    // the journal may be another's by now
    if (this.#off.aborted) return null;
    if (lease !== null) for (const entry of entries) entry.lease = lease;
    else {
      this.#left.delete(order);
      const forgotten = [...entries].map((entry) => {
        budget.settle(BigInt(entry.holdNanos), 0n);
        return journal.forget(entry);
      });
      await Promise.all(forgotten);
    }
    return lease;
  }

  /** Of several runs nobody knows yet what each cost: no more than all of them, and than was held for it. */
  async #ended(order: string, entries: ReadonlySet<JournalEntry>): Promise<void> {
    const { ways, budget } = this.#shared;
    const lease = await this.#leaseOf(order, entries);
    const due = lease === null ? null : await ways.dueOf(lease);
    if (due === null) return;
    for (const entry of entries) {
      const held = BigInt(entry.holdNanos);
      const counted = due < held ? due : held;
      this.#counted.set(entry, counted);
      budget.settle(held, counted);
    }
    this.#left.delete(order);
  }
}
