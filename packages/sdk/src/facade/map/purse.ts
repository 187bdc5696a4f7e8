/**
 * The one hold that orders of a map draw on: opened before the first of them, closed with the map. What leases of an earlier call give back
 * after that is the account's and not this hold's, so an order for which it does not reach has a hold of its own; the budget bounds both.
 * Who controls the inputs: the broker (whether it opens one).
 */
import type { MapBudget } from "./budget.ts";
import type { MapJournal } from "./journal.ts";
import type { MapWays } from "./ways.ts";

interface Shared {
  ways: Pick<MapWays, "openBatch" | "closeBatch">;
  journal: MapJournal;
  budget: Pick<MapBudget, "leftNanos">;
}

export class MapPurse {
  readonly #shared: Shared;
  readonly #isWanted: boolean;
  #account: string | null = null;
  #opening: Promise<void> | null = null;
  #batch: string | null = null;
  /** Of what it was opened with. */
  #leftNanos = 0n;

  /** `isWanted`: else each order has a hold of its own. */
  constructor(shared: Shared, isWanted: boolean) {
    this.#shared = shared;
    this.#isWanted = isWanted;
  }

  /** Once, with all that may be ordered then, for the account of the first order. Rejects where there is not so much. */
  async open(account: string | null): Promise<void> {
    if (account === null || !this.#isWanted) return;
    this.#account ??= account;
    await (this.#opening ??= this.#open(this.#account));
  }

  async #open(account: string): Promise<void> {
    const { ways, journal, budget } = this.#shared;
    const left = budget.leftNanos ?? 0n;
    if (left === 0n) return;
    this.#batch = await ways.openBatch(left, account);
    if (this.#batch !== null) this.#leftNanos = left;
    journal.batch = this.#batch;
    await journal.save();
  }

  /** What an order over so much draws on; null: on a hold of its own. */
  take(account: string | null, nanos: bigint): string | null {
    if (this.#batch === null || account !== this.#account || nanos > this.#leftNanos) return null;
    this.#leftNanos -= nanos;
    return this.#batch;
  }

  /** Of what was taken so much was not paid. */
  back(nanos: bigint): void {
    this.#leftNanos += nanos;
  }

  async close(): Promise<void> {
    await this.#opening?.catch(() => {});
    if (this.#batch === null) return;
    await this.#shared.ways.closeBatch(this.#batch);
    this.#shared.journal.batch = null;
    await this.#shared.journal.save();
  }
}
