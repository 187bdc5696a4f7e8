/**
 * The orders that wait for room, as this broker knows them: a copy of what the store has, which decides. Whose turn it is follows from it;
 * an order that another broker has bound meanwhile is bound no second time, because its row has changed.
 * Who controls the inputs: customers (the orders), within the bounds that the books keep.
 */
import { GatheredRoom, WAITING_MAX, WaitingQueue, wishOf, type Candidate, type WaitingOrder } from "@xenoservers/market";
import { parseDocumentOf, type Crypto, type Payload } from "@xenoservers/protocol";
import type { OrderRow, Store } from "../store/store.ts";

const READ_AT_ONCE = 100;

/** An order's row as it stands in the queue; null where it does not wait. */
export function waitingOrderOf({ id, customer, waiting, triedServers }: OrderRow, order: Payload<"order">): WaitingOrder | null {
  return waiting ? { id, customer, ...waiting, wish: wishOf(order), tried: triedServers, isWhole: order.replicas === 1 } : null;
}

export class WaitingOrders {
  readonly #queue = new WaitingQueue();
  readonly #gathered = new GatheredRoom();

  get size(): number {
    return this.#queue.size;
  }

  put(order: WaitingOrder): void {
    this.#queue.put(order);
  }

  remove(id: string): void {
    this.#queue.remove(id);
  }

  turnTaken(customer: string): void {
    this.#queue.turnTaken(customer);
  }

  turnsOn(candidate: Candidate, now: number, had: ReadonlySet<string>, max: number): WaitingOrder[] {
    return this.#queue.turnsOn(candidate, now, { had, max, mayTake: (order) => !this.isForAnother(candidate, order) });
  }

  /** Whether what is free there is gathered for an order that has waited long, of somebody else. */
  isForAnother(candidate: Candidate, order: { id: string; customer: string }): boolean {
    return this.#gathered.isForAnother(candidate, order);
  }

  /** As time goes by, room is gathered and given back: returns the servers on which somebody may have a turn. */
  gather(candidates: ReadonlyMap<string, Candidate>, now: number): string[] {
    return this.#gathered.turn(this.#queue.firsts(), candidates, now);
  }

  aheadOf(id: string): number | null {
    return this.#queue.aheadOf(id);
  }

  /** Reads everything again: at start, and when another broker may have changed it. Returns what was not known here. */
  async refresh(store: Store, crypto: Crypto): Promise<WaitingOrder[]> {
    const rows = await store.waitingOrders(WAITING_MAX);
    const waiting = new Set(rows.map(({ id }) => id));
    const unheard = this.#queue.ids().filter((id) => !waiting.has(id));
    const fresh = rows.filter(({ id }) => !this.#queue.has(id));
    // one that came while these were read is not among them
    return [...(await this.#take(store, crypto, fresh)), ...(await this.follow(store, crypto, unheard))];
  }

  /** Reads again what another broker has changed; returns what waits. */
  async follow(store: Store, crypto: Crypto, ids: readonly string[]): Promise<WaitingOrder[]> {
    if (ids.length === 0) return [];
    const rows = await store.load("order", ids);
    for (const id of ids) if (!rows.get(id)?.data.waiting) this.#queue.remove(id);
    const waiting = [...rows.values()].map(({ data }) => data).filter((row) => row.waiting);
    return this.#take(store, crypto, waiting);
  }

  async #take(store: Store, crypto: Crypto, rows: readonly OrderRow[]): Promise<WaitingOrder[]> {
    const taken: WaitingOrder[] = [];
    const take = async (row: OrderRow): Promise<void> => {
      const document = await store.document(row.id);
      const parsed = document && parseDocumentOf(crypto, "order", document.envelope);
      const order = parsed?.ok ? waitingOrderOf(row, parsed.document.payload) : null;
      if (!order) return;
      this.#queue.put(order);
      taken.push(order);
    };
    for (let from = 0; from < rows.length; from += READ_AT_ONCE) await Promise.all(rows.slice(from, from + READ_AT_ONCE).map(take));
    return taken;
  }
}
