/**
 * The one hold that orders of a map draw on: opened before the first of them, closed with the map. What leases of an earlier call give back
 * after that is the account's and not this hold's, so an order for which it does not reach has a hold of its own; where neither reaches,
 * both are put together. The budget bounds both. Who controls the inputs: the broker (whether it opens one).
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
  /** What orders hold of it that are not over. */
  #drawnNanos = 0n;
  #renewing: Promise<void> | null = null;

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
    await this.#renewing?.catch(() => {});
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
    this.#drawnNanos += nanos;
    return this.#batch;
  }

  /** Of so much that was taken so much was paid; what was taken of a hold that is closed by now is the account's. */
  back(batch: string, takenNanos: bigint, paidNanos: bigint): void {
    if (batch !== this.#batch) return;
    this.#leftNanos += takenNanos - paidNanos;
    this.#drawnNanos -= takenNanos;
  }

  /**
   * For an order that the account alone has too little for: closes the hold, and opens it with all that may be ordered now; where there is
   * not so much, each order has a hold of its own from then on. `drawn`: others draw on it still, and the order can be tried beside them.
   * Null: there is nothing to put together. Rejects where the hold cannot be closed: it is as it was.
   */
  async renew(): Promise<"anew" | "drawn" | null> {
    if (!this.#renewing) {
      if (this.#batch === null) return null;
      if (this.#drawnNanos > 0n) return "drawn";
      this.#renewing = this.#renew(this.#batch).finally(() => (this.#renewing = null));
    }
    await this.#renewing;
    return "anew";
  }

  async #renew(batch: string): Promise<void> {
    this.#batch = null;
    try {
      await this.#shared.ways.closeBatch(batch);
    } catch (error) {
      this.#batch = batch;
      throw error;
    }
    this.#shared.journal.batch = null;
    await this.#open(this.#account!).catch(() => this.#shared.journal.save());
  }

  async close(): Promise<void> {
    await this.#opening?.catch(() => {});
    if (this.#batch === null) return;
    await this.#shared.ways.closeBatch(this.#batch);
    this.#shared.journal.batch = null;
    await this.#shared.journal.save();
  }
}
