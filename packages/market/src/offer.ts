/**
 * An offer as matching and binding read it: one reading of what an owner signed, for the broker's index, for search and for whoever
 * checks a purchase order.
 */
import type { OfferContent } from "./lease/facts.ts";
import type { Candidate } from "./matching.ts";
import { priceVectorOf, type Resources } from "./resources.ts";

/** What the broker knows of a server beside its offer. */
export interface Standing {
  free: Resources;
  online: boolean;
  clockIsRight: boolean;
  coolUntil: number;
  missesWeigh: boolean;
  isVouchedFor: boolean;
  suspended: boolean;
  isReferee: boolean;
}

export function candidateOf(offerId: string, offer: OfferContent, standing: Standing): Candidate {
  const {
    owner,
    server,
    resources,
    drivers,
    assurances,
    labels,
    sandbox,
    engine,
    vmEngine,
    accel,
    vmScore,
    limits,
    holds,
    egress,
    fetches,
  } = offer;
  const { cpuScore, validUntil, maxLeaseMs, allowedParties, price, feeBasisPointsMax, timings } = offer;
  return {
    ...{
      offerId,
      owner,
      server,
      resources,
      drivers,
      assurances,
      labels,
      sandbox,
      engine,
      vmEngine,
      accel,
      vmScore,
      limits,
      holds,
      egress,
      fetches,
    },
    ...{ cpuScore, validUntil, maxLeaseMs, allowedParties, feeBasisPointsMax, timings },
    ...standing,
    price: priceVectorOf(price),
  };
}

/** A server of which nothing is known, good or bad. */
export const NEWCOMER = { clockIsRight: true, coolUntil: 0, missesWeigh: false, isVouchedFor: false } as const;

/** The candidate as its signed offer alone shows it: nothing of the broker's word in it. */
export const offeredCandidate = (offerId: string, offer: OfferContent): Candidate =>
  candidateOf(offerId, offer, { ...NEWCOMER, free: offer.resources, online: true, suspended: false, isReferee: false });
