/**
 * A server's conduct of late: what it did with the orders that came to it, and how long it gets none. Whoever misses an order cools down,
 * twice as long each time up to a bound, and is as good as new after one lease of another party that it kept. The same rule holds for all
 * servers of one owner together, which have a few misses free. Who controls the inputs: the server (what it misses), its customers (what
 * they bring it, which is why it takes several of them to be held against it), the broker (times).
 */
import { TERMS, type EndReason } from "./lease/terms.ts";

export interface Conduct {
  /** Orders in a row that it missed. */
  misses: number;
  /** Customers, each once, whose leases it ran nothing in, one after the other, and said that it was not its doing. */
  turnedAway: readonly string[];
  /** It gets no order before; in broker time, ms. */
  coolUntil: number;
  /** What the last miss was; null: none. */
  reason: EndReason | null;
}

export const GOOD_CONDUCT: Conduct = { misses: 0, turnedAway: [], coolUntil: 0, reason: null };

/** The first time, and the longest. */
export const COOL_FIRST_MS = 30_000;
export const COOL_MAX_MS = 6 * 3_600_000;
/** All servers of one owner together may miss so many in a row before all of them cool down. */
export const OWNER_MISSES_FREE = 3;
/** One customer may bring what cannot be run or fetched; when so many in a row are turned away, it is a miss of the server. */
export const TURNED_AWAY_MAX = 3;
/** So many are remembered: a few customers who take turns bring one miss about and no more. */
export const TURNED_AWAY_KEPT = 32;

/** A lease that is over, as far as it concerns its server's conduct. */
export interface Ended {
  reason: EndReason;
  customer: string;
  owner: string;
  at: number;
}

const coolMs = (misses: number): number => (misses <= 0 ? 0 : Math.min(COOL_MAX_MS, COOL_FIRST_MS * 2 ** Math.min(misses - 1, 30)));

function missed({ misses, turnedAway }: Conduct, { reason, at }: Ended, missesFree: number): Conduct {
  const coolUntil = at + coolMs(misses + 1 - missesFree);
  return { misses: misses + 1, turnedAway, coolUntil, reason };
}

/** What a lease that is over makes of it; the same object where nothing changes. */
export function conductAfter(before: Conduct, ended: Ended, missesFree = 0): Conduct {
  const { record, ran, statedBy, cause } = TERMS[ended.reason];
  // what an owner orders from itself shows nobody how it treats others
  const isStrangers = ended.customer !== ended.owner;
  // a stop shows what its customer wanted, not what the server would have done
  if (record === "kept" && ran && cause !== "customer") return isStrangers && before !== GOOD_CONDUCT ? GOOD_CONDUCT : before;
  if (record === "missed" || record === "failed") return missed(before, ended, missesFree);
  if (ran || statedBy !== "server" || before.turnedAway.includes(ended.customer)) return before;
  const turnedAway = [...before.turnedAway, ended.customer].slice(-TURNED_AWAY_KEPT);
  return turnedAway.length < TURNED_AWAY_MAX ? { ...before, turnedAway } : missed({ ...before, turnedAway }, ended, missesFree);
}

/** Those that count: of a server that cools for itself and with its owner's others, the longer. */
export const coolerOf = (one: Conduct, other: Conduct): Conduct => (other.coolUntil > one.coolUntil ? other : one);
