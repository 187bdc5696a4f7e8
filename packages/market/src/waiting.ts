/**
 * Orders that wait for room, and whose turn it is: parties take turns, and within a party the first comes first. An order that does not
 * fit into what is free does not hold up those behind it, but while room is gathered for it on one server (gathering.ts). Nothing here is
 * held or promised; the books decide when an order is bound.
 * Who controls the inputs: customers (the wishes, how many of them wait, up to the bounds), owners (the candidates).
 */
import { exclusionOf, type Candidate, type Wish } from "./matching.ts";
import { fitsWithin, type Resources } from "./resources.ts";

/** Of one party at a time. */
export const WAITING_PER_PARTY_MAX = 256;
/** Of all parties together. */
export const WAITING_MAX = 10_000;
/** The longest that an order waits, whatever it says. */
export const WAITING_MS_MAX = 86_400_000;

export interface WaitingOrder {
  id: string;
  customer: string;
  /** Since when it waits, in broker time. */
  since: number;
  until: number;
  wish: Wish;
  /** Servers that let it lapse: it goes there no second time. */
  tried: readonly string[];
  /** One server takes all of it; else it is for several. */
  isWhole: boolean;
}

/** Which orders have their turns on a server now. */
export interface Turns {
  /** They have had theirs. */
  had: ReadonlySet<string>;
  /** What is free there may be somebody else's. */
  mayTake(order: WaitingOrder): boolean;
  max: number;
}

const isBefore = (a: WaitingOrder, b: WaitingOrder): boolean => a.since < b.since || (a.since === b.since && a.id < b.id);

const less = (free: Resources, taken: Resources): Resources => ({
  vcpu: free.vcpu - taken.vcpu,
  memoryMib: free.memoryMib - taken.memoryMib,
  diskMib: free.diskMib - taken.diskMib,
});

export class WaitingQueue {
  readonly #orders = new Map<string, WaitingOrder>();
  /** Each party's orders, the oldest first; the party whose turn it is stands first. */
  readonly #turns = new Map<string, WaitingOrder[]>();

  get size(): number {
    return this.#orders.size;
  }

  ids(): string[] {
    return [...this.#orders.keys()];
  }

  has(id: string): boolean {
    return this.#orders.has(id);
  }

  put(order: WaitingOrder): void {
    this.remove(order.id);
    this.#orders.set(order.id, order);
    const own = this.#turns.get(order.customer);
    if (!own) return void this.#turns.set(order.customer, [order]);
    const later = own.findIndex((each) => isBefore(order, each));
    own.splice(later < 0 ? own.length : later, 0, order);
  }

  remove(id: string): void {
    const order = this.#orders.get(id);
    if (!order) return;
    this.#orders.delete(id);
    const left = this.#turns.get(order.customer)?.filter((each) => each.id !== id) ?? [];
    // whoever waits for nothing has no turn to keep
    if (left.length === 0) this.#turns.delete(order.customer);
    else this.#turns.set(order.customer, left);
  }

  /** The party had a turn: all others come before it now. */
  turnTaken(customer: string): void {
    const own = this.#turns.get(customer);
    if (!own) return;
    this.#turns.delete(customer);
    this.#turns.set(customer, own);
  }

  /** Each party's first, the one that waits longest before the others. */
  firsts(): WaitingOrder[] {
    const firsts = [...this.#turns.values()].flatMap(([first]) => first ?? []);
    return firsts.sort((a, b) => (isBefore(a, b) ? -1 : 1));
  }

  /** The orders whose turn it is on this server, as many as fit into it together. */
  turnsOn(candidate: Candidate, now: number, { had, mayTake, max }: Turns): WaitingOrder[] {
    const taken: WaitingOrder[] = [];
    let { free } = candidate;
    const places = new Map([...this.#turns.keys()].map((party) => [party, 0]));
    while (places.size > 0 && taken.length < max) {
      for (const [party, place] of places) {
        const own = this.#turns.get(party) ?? [];
        const fits = (order: WaitingOrder, i: number): boolean =>
          i >= place &&
          !had.has(order.id) &&
          !order.tried.includes(candidate.server) &&
          fitsWithin(order.wish.resources, free) &&
          mayTake(order) &&
          exclusionOf({ ...candidate, free }, order.wish, now) === null;
        const at = own.findIndex(fits);
        const order = own[at];
        if (!order) {
          places.delete(party);
          continue;
        }
        places.set(party, at + 1);
        taken.push(order);
        free = less(free, order.wish.resources);
        if (taken.length >= max) break;
      }
    }
    return taken;
  }

  /** How many others have their turn before it, as the queue stands; null: it does not wait. */
  aheadOf(id: string): number | null {
    const order = this.#orders.get(id);
    if (!order) return null;
    const mine = this.#turns.get(order.customer)?.indexOf(order) ?? 0;
    let [ahead, isEarlier] = [mine, true];
    for (const [party, own] of this.#turns) {
      if (party === order.customer) isEarlier = false;
      else ahead += Math.min(own.length, mine + (isEarlier ? 1 : 0));
    }
    return ahead;
  }
}
