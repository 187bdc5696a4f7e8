/** What an owner lists, and the offer that says so: terms that the owner has agreed to, in the market's timings and fee of now. */
import type { LeaseTimings, PriceVector, Resources } from "@xenoservers/market";
import { wirePriceOf } from "@xenoservers/market";
import { LABELS_MAX, RUNS_LABEL, SCREEN_LABEL, type Payload } from "@xenoservers/protocol";
import { feeToSign, type MarketInfo } from "@xenoservers/protocol/link";
import { offeredByAll, type Drivers } from "./drivers/registry.ts";

export interface Listing {
  resources: Resources;
  price: PriceVector;
  /** The owner's own. */
  labels: Record<string, string>;
  maxLeaseMs: number;
  cpuScore: number;
  allowedParties: string[];
  /** What guests may reach, at most. */
  egress: "none" | "names" | "public";
  /** Whether it fetches images from public addresses. */
  fetches: boolean;
  /** Disk that lies in memory: of guests whose files do. */
  memoryDiskMib: number;
  /** Strangers' jobs also where the sandbox is weak. */
  allowWeakSandbox: boolean;
  /** The most of its pay that the owner leaves to the broker; null: what the market takes, or has announced. */
  feeBasisPointsMax: number | null;
}

/** What the owner agrees to of the market's own terms. */
export interface MarketTerms {
  feeBasisPointsMax: number;
  timings: LeaseTimings;
}

export const termsOf = (market: MarketInfo, { feeBasisPointsMax }: Pick<Listing, "feeBasisPointsMax">): MarketTerms => ({
  feeBasisPointsMax: feeBasisPointsMax ?? feeToSign(market),
  timings: market.timings,
});

type OfOneOffer = Pick<Payload<"offer">, "origin" | "seen" | "owner" | "server" | "sequence" | "validUntil" | "channelKey">;

/** The owner's own, and what the server says itself: an owner's word for that does not count. */
function labelsOf(own: Record<string, string>, drivers: Drivers): Record<string, string> {
  const { [SCREEN_LABEL.name]: _screen, [RUNS_LABEL.name]: _runs, ...labels } = own;
  const can = (what: "screens" | "runs"): boolean => [...drivers.values()].some(({ capabilities }) => capabilities[what]);
  if (can("screens")) labels[SCREEN_LABEL.name] = SCREEN_LABEL.value;
  // an offer has so many at most: then it gets jobs of one run alone
  if (can("runs") && Object.keys(labels).length < LABELS_MAX) labels[RUNS_LABEL.name] = RUNS_LABEL.value;
  return labels;
}

interface Served {
  drivers: Drivers;
  allowedParties: string[];
}

/**
 * What is offered, and to whom: no stranger is offered what a stranger is refused. Each order that came for it would lapse, and be a
 * miss of this server's.
 */
function servedBy({ allowWeakSandbox, allowedParties }: Listing, drivers: Drivers, owner: string): Served {
  const strong = new Map([...drivers].filter(([, { sandbox }]) => sandbox.strength === "strong"));
  if (allowWeakSandbox || strong.size === drivers.size) return { drivers, allowedParties };
  return strong.size > 0 ? { drivers: strong, allowedParties } : { drivers, allowedParties: [owner] };
}

export function offerOf(listing: Listing, drivers: Drivers, terms: MarketTerms, own: OfOneOffer): Payload<"offer"> {
  const { resources, labels, maxLeaseMs, cpuScore, price } = listing;
  const { drivers: served, allowedParties } = servedBy(listing, drivers, own.owner);
  const { feeBasisPointsMax, timings } = terms;
  return {
    ...{ ...own, resources, labels: labelsOf(labels, served), maxLeaseMs, cpuScore, allowedParties, feeBasisPointsMax, timings },
    ...offeredByAll(served, listing),
    price: wirePriceOf(price),
  };
}
