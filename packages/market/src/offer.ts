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

/** What of an offer decides as it stands there. */
const OFFERED = [
  ...(["owner", "server", "resources", "drivers", "assurances", "labels", "sandbox", "engine", "vmEngine", "accel", "vmScore"] as const),
  ...([
    "limits",
    "holds",
    "egress",
    "fetches",
    "cpuScore",
    "validUntil",
    "maxLeaseMs",
    "allowedParties",
    "feeBasisPointsMax",
    "timings",
  ] as const),
] as const;

const offered = (offer: OfferContent): Pick<OfferContent, (typeof OFFERED)[number]> =>
  Object.fromEntries(OFFERED.map((name) => [name, offer[name]])) as Pick<OfferContent, (typeof OFFERED)[number]>;

export const candidateOf = (offerId: string, offer: OfferContent, standing: Standing): Candidate => ({
  offerId,
  ...offered(offer),
  ...standing,
  price: priceVectorOf(offer.price),
});

/** A server of which nothing is known, good or bad. */
export const NEWCOMER = { clockIsRight: true, coolUntil: 0, missesWeigh: false, isVouchedFor: false } as const;

/** The candidate as its signed offer alone shows it: nothing of the broker's word in it. */
export const offeredCandidate = (offerId: string, offer: OfferContent): Candidate =>
  candidateOf(offerId, offer, { ...NEWCOMER, free: offer.resources, online: true, suspended: false, isReferee: false });
