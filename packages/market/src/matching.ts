/**
 * Matching: which live offers can take an order, cheapest first, and why the others cannot. It only proposes; the books dispose
 * (capacity is claimed conditionally in the commit, DESIGN section 6).
 * Who controls the inputs: owners (offers), the customer (the wish). The free capacity is the broker's own.
 */
import { meets, type Condition, type Subject } from "./condition.ts";
import { DRIVERS, type Driver } from "./drivers.ts";
import type { Holds } from "./holds.ts";
import { costPerHourNanos } from "./quote.ts";
import { fitsWithin, type PriceVector, type Resources } from "./resources.ts";
import type { PaymentTerms } from "./lease/terms.ts";
import type { LeaseTimings } from "./lease/timings.ts";

export interface Candidate {
  offerId: string;
  owner: string;
  server: string;
  resources: Resources;
  free: Resources;
  price: PriceVector;
  drivers: readonly string[];
  assurances: readonly string[];
  labels: Readonly<Record<string, string>>;
  sandbox: string;
  engine: string;
  vmEngine: string;
  accel: string;
  vmScore: number;
  limits: string;
  holds: Holds;
  egress: string;
  fetches: boolean;
  cpuScore: number;
  validUntil: number;
  maxLeaseMs: number;
  /** The most of its pay that its owner leaves to the broker. */
  feeBasisPointsMax: number;
  /** The market's timings as its owner signed them. */
  timings: LeaseTimings;
  /** The server's link to the broker is up. */
  online: boolean;
  /** Its clock goes as the market's does, nearly. */
  clockIsRight: boolean;
  /** It gets no order of others before, in broker time: it missed some. */
  coolUntil: number;
  /** Its owner missed more orders than it completed. */
  missesWeigh: boolean;
  /** Something but its owner's own word speaks for it: a record, a stake. */
  isVouchedFor: boolean;
  suspended: boolean;
  /** The operator has named it a referee: its room is for judging. */
  isReferee: boolean;
  /** Parties this server serves; empty = anyone. */
  allowedParties: readonly string[];
}

export interface Wish {
  customer: string;
  /** A referee's run: only then a referee takes it. */
  isJudging: boolean;
  resources: Resources;
  driver: Driver;
  /** Of a driver that hardware makes fast: only by hardware, or emulated too. */
  accel: "kvm" | "any";
  /** What the guest may reach: nothing, names, anything public. */
  egress: "none" | "names" | "public";
  assurance: string;
  terms: PaymentTerms;
  conditions: readonly Condition[];
  /** Whose machines: only the customer's own, or the market's (which includes them). */
  on: "mine" | "market";
  maxPriceNanosPerHour: bigint | null;
  durationMs: number;
}

type Exclusion =
  | "offline"
  | "clock"
  | "cooling"
  | "expired"
  | "suspended"
  | "referee"
  | "not-yours"
  | "not-allowed"
  | "driver"
  | "emulated"
  | "egress"
  | "assurance"
  | "duration"
  | "max-price"
  | "capacity"
  | (string & {});

function subjectOf(candidate: Candidate, { terms, resources, driver }: Wish): Subject {
  return {
    ...candidate.resources,
    priceNanosPerHour: costPerHourNanos(terms, resources, candidate.price),
    cpuScore: candidate.cpuScore,
    vmScore: candidate.vmScore,
    accel: candidate.accel,
    limits: candidate.limits,
    holds: candidate.holds[driver] ?? [],
    fetches: candidate.fetches,
    driver: candidate.drivers,
    assurance: candidate.assurances,
    sandbox: candidate.sandbox,
    owner: candidate.owner,
    server: candidate.server,
    labels: candidate.labels,
  };
}

/** Who allows more allows less too. */
const EGRESS_RANK: Readonly<Record<string, number>> = { none: 0, names: 1, public: 2 };

/** The first reason why the candidate cannot take the wish, in a fixed order; null when it can. */
export function exclusionOf(candidate: Candidate, wish: Wish, now: number): Exclusion | null {
  if (!candidate.online) return "offline";
  if (!candidate.clockIsRight) return "clock";
  // a referee has the turn that it was drawn for: who fails in it is passed over by name
  if (candidate.coolUntil > now && candidate.owner !== wish.customer && !wish.isJudging) return "cooling";
  if (candidate.validUntil <= now) return "expired";
  if (candidate.suspended) return "suspended";
  if (candidate.isReferee && !wish.isJudging) return "referee";
  if (wish.on === "mine" && candidate.owner !== wish.customer) return "not-yours";
  if (candidate.allowedParties.length > 0 && !candidate.allowedParties.includes(wish.customer) && candidate.owner !== wish.customer)
    return "not-allowed";
  if (!candidate.drivers.includes(wish.driver)) return "driver";
  if (DRIVERS[wish.driver].can.acceleration && wish.accel === "kvm" && candidate.accel !== "kvm") return "emulated";
  if (EGRESS_RANK[wish.egress]! > (EGRESS_RANK[candidate.egress] ?? 0)) return "egress";
  if (!candidate.assurances.includes(wish.assurance)) return "assurance";
  if (wish.durationMs > candidate.maxLeaseMs) return "duration";
  const subject = subjectOf(candidate, wish);
  for (const condition of wish.conditions) if (!meets(subject, condition)) return `${condition.key}${condition.op}${condition.value}`;
  if (wish.maxPriceNanosPerHour !== null && subject.priceNanosPerHour > wish.maxPriceNanosPerHour) return "max-price";
  if (!fitsWithin(wish.resources, candidate.free)) return "capacity";
  return null;
}

/**
 * Whether it could take the wish at another time, as its offer stands: once it is there again and has all its room. What keeps it from it
 * now may pass by itself.
 */
export function couldTake(candidate: Candidate, wish: Wish, now: number): boolean {
  return exclusionOf(asRested(candidate), wish, now) === null;
}

/** As if what may pass by itself had passed. */
export const asRested = (candidate: Candidate): Candidate => ({
  ...candidate,
  ...{ online: true, clockIsRight: true, coolUntil: 0, free: candidate.resources },
});

export type Ordering = "price" | "cost-per-work";

/** What decides where a match stands among others. */
export interface Rank {
  standsBack: boolean;
  hourNanos: bigint;
  cpuScore: number;
  server: string;
}

type RankedFor = Pick<Wish, "terms" | "resources" | "customer">;

/**
 * `standsBack`: everybody else who can take the order comes first. So it is with an owner that misses more than it completes, and with an
 * offer for nothing for which nothing speaks. Whoever orders on its own machines knows them.
 */
export function rankOf({ owner, server, price, cpuScore, missesWeigh, isVouchedFor }: Candidate, wish: RankedFor): Rank {
  const hourNanos = costPerHourNanos(wish.terms, wish.resources, price);
  const standsBack = owner !== wish.customer && (missesWeigh || (hourNanos === 0n && !isVouchedFor));
  return { standsBack, hourNanos, cpuScore, server };
}

/** Integer comparison of price, or of price per benchmark point; ties go by server id so that every broker sees the same order. */
export function compareRanks(ordering: Ordering): (a: Rank, b: Rank) => number {
  return (a, b) => {
    const back = Number(a.standsBack) - Number(b.standsBack);
    if (back !== 0) return back;
    const costA = a.hourNanos * (ordering === "cost-per-work" ? BigInt(Math.max(1, b.cpuScore)) : 1n);
    const costB = b.hourNanos * (ordering === "cost-per-work" ? BigInt(Math.max(1, a.cpuScore)) : 1n);
    return costA < costB ? -1 : costA > costB ? 1 : a.server < b.server ? -1 : a.server > b.server ? 1 : 0;
  };
}

interface Matching {
  matches: Candidate[];
  /** How many servers each condition excluded. */
  excluded: Record<string, number>;
}

export function match(candidates: Iterable<Candidate>, wish: Wish, now: number, ordering: Ordering = "price"): Matching {
  const matches: Candidate[] = [];
  const excluded: Record<string, number> = {};
  for (const candidate of candidates) {
    const why = exclusionOf(candidate, wish, now);
    if (why === null) matches.push(candidate);
    else excluded[why] = (excluded[why] ?? 0) + 1;
  }
  const ranked = matches.map((candidate) => ({ candidate, rank: rankOf(candidate, wish) }));
  const compare = compareRanks(ordering);
  return { matches: ranked.sort((a, b) => compare(a.rank, b.rank)).map(({ candidate }) => candidate), excluded };
}

/** A sentence for people about an empty answer. */
export function explainExclusions(excluded: Readonly<Record<string, number>>): string {
  const rows = Object.entries(excluded).sort((a, b) => b[1] - a[1]);
  if (rows.length === 0) return "no server is listed at all";
  return rows.map(([why, count]) => `${why} excluded ${count}`).join(", ");
}
