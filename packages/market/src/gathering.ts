/**
 * Room that is gathered for an order that has waited long: on one server what comes free is given to nobody else for a while, so that an
 * order for much of a server is not passed over for ever by small ones. It is what batch schedulers call a reservation beside backfill
 * (Lifka, "The ANL/IBM SP Scheduling System", 1995), without a promise: whoever gathers pays nothing, so it is bounded in time and number,
 * for each order, each party and each server: an order that is withdrawn and placed again, or five parties in turns, gather no more.
 * Who controls the inputs: customers (which orders wait, how long, under how many parties), owners (the candidates).
 */
import { asRested, compareRanks, exclusionOf, rankOf, type Candidate } from "./matching.ts";
import type { WaitingOrder } from "./waiting.ts";

/** An order that waits less gathers nothing. */
export const GATHER_AFTER_MS = 60_000;
/** How long it gathers the first time; each later time twice as long as before. */
export const GATHER_FIRST_MS = 120_000;
export const GATHER_LONGEST_MS = 3_600_000;
/** How many times as long as it has gathered it then rests, as do its party and the server: a fifth of each one's time is gathering. */
const REST = 4;
/** One of so many servers at a time has its room gathered, and one where there are fewer. */
const SHARE = 4;
/** In the whole market at a time. */
const AT_ONCE_MAX = 64;

/** The how-manyth time an order gathers that has waited so long, from 0; null: not yet, or it rests. */
export function gatheringTime(waitedMs: number): number | null {
  for (let [begins, nth] = [GATHER_AFTER_MS, 0]; begins <= waitedMs; nth++) {
    const lasts = Math.min(GATHER_FIRST_MS * 2 ** nth, GATHER_LONGEST_MS);
    if (waitedMs < begins + lasts) return nth;
    begins += lasts * (1 + REST);
  }
  return null;
}

interface Gathering {
  order: WaitingOrder;
  server: string;
  nth: number;
  since: number;
}

/** What was gathered for a party on a server: until then neither of them gathers again. */
interface Rest {
  customer: string;
  server: string;
  until: number;
}

type For = Pick<WaitingOrder, "id" | "customer">;

export class GatheredRoom {
  /** By server. */
  readonly #gatherings = new Map<string, Gathering>();
  #rests: Rest[] = [];
  /** The time for which an order was last given a server, or none was found. */
  #looked = new Map<string, number>();

  /** Whether what is free there is gathered for somebody else. Whose server it is takes its own room whenever it likes. */
  isForAnother({ server, owner }: Pick<Candidate, "server" | "owner">, { id, customer }: For): boolean {
    const gathering = this.#gatherings.get(server);
    return gathering !== undefined && gathering.order.id !== id && gathering.order.customer !== customer && owner !== customer;
  }

  /**
   * As time goes by: `first` is each party's first order that waits, the one that waits longest before the others. Returns the servers
   * whose room was given back or is gathered now: somebody may have a turn on each.
   */
  turn(first: readonly WaitingOrder[], candidates: ReadonlyMap<string, Candidate>, now: number): string[] {
    const times = new Map<string, number>();
    for (const { id, since } of first) {
      const nth = gatheringTime(now - since);
      if (nth !== null) times.set(id, nth);
    }
    const changed = this.#giveBack(times, candidates, now);
    const most = Math.min(AT_ONCE_MAX, Math.max(1, Math.floor(candidates.size / SHARE)));
    const resting = new Set(this.#rests.map(({ customer }) => customer));
    const looked = new Map<string, number>();
    for (const order of first) {
      const nth = times.get(order.id);
      if (nth === undefined) continue;
      if (this.#looked.get(order.id) === nth) looked.set(order.id, nth);
      // a server that rests keeps its place: what stands free is a fifth of the places, whoever takes turns in them
      else if (this.#gatherings.size + this.#rests.length < most && !resting.has(order.customer)) {
        looked.set(order.id, nth);
        const server = this.#serverFor(order, nth, candidates, now);
        if (server === null) continue;
        this.#gatherings.set(server, { order, server, nth, since: now });
        changed.push(server);
      }
    }
    this.#looked = looked;
    return changed;
  }

  /** What is gathered for nobody any more: taken, withdrawn, over for a while, or gone. */
  #giveBack(times: ReadonlyMap<string, number>, candidates: ReadonlyMap<string, Candidate>, now: number): string[] {
    const given: string[] = [];
    this.#rests = this.#rests.filter(({ until }) => until > now);
    for (const [server, { order, nth, since }] of this.#gatherings) {
      const candidate = candidates.get(server);
      if (candidate && times.get(order.id) === nth && couldTakeSoon(candidate, order, now)) continue;
      this.#gatherings.delete(server);
      this.#rests.push({ customer: order.customer, server, until: now + REST * (now - since) });
      given.push(server);
    }
    return given;
  }

  /** The first time the cheapest that could take it when it is empty, then the next: one may be taken for a month. */
  #serverFor(order: WaitingOrder, nth: number, candidates: ReadonlyMap<string, Candidate>, now: number): string | null {
    const rests = new Set(this.#rests.map((rest) => rest.server));
    const isTaken = (server: string): boolean => this.#gatherings.has(server) || rests.has(server);
    const able = [...candidates.values()].filter((each) => !isTaken(each.server) && couldTakeSoon(each, order, now));
    const compare = compareRanks("price");
    const ranks = able.map((candidate) => rankOf(candidate, order.wish)).sort(compare);
    return ranks[nth % ranks.length]?.server ?? null;
  }
}

/** It is there, and all its room would do. */
function couldTakeSoon(candidate: Candidate, { wish, tried, isWhole }: WaitingOrder, now: number): boolean {
  const { online, clockIsRight, coolUntil } = candidate;
  return (
    isWhole &&
    !tried.includes(candidate.server) &&
    exclusionOf({ ...asRested(candidate), online, clockIsRight, coolUntil }, wish, now) === null
  );
}
