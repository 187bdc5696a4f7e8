/**
 * A purchase order is believed by nobody: what it says must follow from the order that its customer signed, the offer that its owner
 * signed and the fee that the operator announced. Broker, server, customer and verifier ask this one function. Who controls the inputs:
 * the broker (the purchase order), the customer (the order), the owner (the offer), the operator (the fee).
 */
import { stakeToLockNanos } from "../assurance.ts";
import { holdsReserve, isAudited, recordPpm } from "../audit.ts";
import { exclusionOf } from "../matching.ts";
import { offeredCandidate } from "../offer.ts";
import { ATTEMPTS_MAX, orderProblem, wishOf } from "../order.ts";
import { quote } from "../quote.ts";
import { replicaBudget } from "../replicas.ts";
import { priceVectorOf, sameResources } from "../resources.ts";
import type { Speaker } from "../roles.ts";
import type { Contents, OfferContent, OrderContent, PurchaseOrderContent, WirePrice } from "./facts.ts";
import { sameTimings } from "./timings.ts";

type Checks = readonly (readonly [right: boolean, why: string])[];
const firstWrong = (checks: Checks): string | null => checks.find(([right]) => !right)?.[1] ?? null;

const PRICE_KEYS = ["vcpuNanosPerSecond", "memoryGibNanosPerSecond", "diskGibNanosPerSecond", "gigaFuelNanos", "egressGibNanos"] as const;
const samePrice = (one: WirePrice, other: WirePrice): boolean => PRICE_KEYS.every((key) => one[key] === other[key]);

/** What a lease of this order on this offer costs at most, and what bounds it. */
export function quoteOn(order: OrderContent, offer: Pick<OfferContent, "price">, slot: number) {
  const { terms, resources, durationMsMax, egressMibMax } = order;
  return quote({
    ...{ terms, resources, durationMsMax, egressMibMax },
    price: priceVectorOf(offer.price),
    budgetNanos: replicaBudget(BigInt(order.budgetNanos), order.replicas, isAudited(order)),
    fuelMax: BigInt(order.fuelMax),
    holdsReserve: holdsReserve(order, slot),
  });
}

/** How often results of this order are audited, by what the broker says of the owner's record; 0: never. */
export const auditPpmOf = (order: OrderContent, auditedBefore: number): number => (isAudited(order) ? recordPpm(auditedBefore) : 0);

/** Who signed order and offer, and for whom. */
function signersProblem({ payload: po, order, offer, serverOfKey }: Contents["purchase-order"]): string | null {
  const customers = (signer: Speaker): boolean =>
    signer.by === "party" &&
    signer.party === order.payload.party &&
    signer.scopes.includes("spend") &&
    (signer.account === null || signer.account === order.payload.account) &&
    (signer.label === null || signer.label === order.payload.label);
  const servers = ({ signer }: typeof offer): boolean =>
    signer.by === "party" && signer.key === po.serverKey && signer.party === offer.payload.owner && signer.scopes.includes("serve");
  return firstWrong([
    [customers(order.signer), "the order is not signed by a key of its customer that may spend from this account"],
    [servers(offer) && serverOfKey === po.server, "the offer is not signed by this server's key"],
  ]);
}

function frozenProblem(
  po: PurchaseOrderContent,
  { payload: wanted, id: orderId }: { payload: OrderContent; id: string },
  offer: { payload: OfferContent; id: string },
): string | null {
  const offered = offer.payload;
  const expected = quoteOn(wanted, offered, po.slot);
  return firstWrong([
    [po.orderId === orderId, "orderId is not the embedded order's"],
    [po.offerId === offer.id, "offerId is not the embedded offer's"],
    [po.slot >= 0 && po.slot < wanted.replicas, "the order has no such slot"],
    [po.attempt >= 1 && po.attempt <= ATTEMPTS_MAX, `attempts are counted from 1 to ${ATTEMPTS_MAX}`],
    [wanted.origin === po.origin && offered.origin === po.origin, "order or offer was made for another market"],
    [po.customer === wanted.party && po.account === wanted.account, "the customer is not the order's"],
    [po.owner === offered.owner && po.server === offered.server, "the server is not the offer's"],
    [sameResources(po.resources, wanted.resources), "the resources are not the order's"],
    [samePrice(po.price, offered.price), "the price is not the offer's"],
    [po.terms === wanted.terms, "the terms are not the order's"],
    [po.durationMsMax <= offered.maxLeaseMs, "it runs longer than the offer allows"],
    [
      po.durationMsMax === expected.durationMsMax && po.timeBound === expected.timeBound,
      "the longest time does not follow from budget and price",
    ],
    [BigInt(po.fuelMax) === expected.fuelMax && po.fuelBound === expected.fuelBound, "the most fuel does not follow from budget and price"],
    [po.durationMsMax >= 1 && BigInt(po.fuelMax) >= 1n, "the budget does not pay for any work"],
    [po.egressMibMax === wanted.egressMibMax, "the most egress is not the order's"],
    [BigInt(po.holdNanos) === expected.holdNanos, "the hold does not follow from time and price"],
    [BigInt(po.cancellationNanos) === expected.cancellationNanos, "the cancellation minimum does not follow from the price"],
    [BigInt(po.holdNanos) <= BigInt(wanted.budgetNanos), "the hold is over the order's budget"],
    [
      BigInt(po.stakeNanos) === stakeToLockNanos(wanted.assurance, expected.workNanos),
      "the locked stake does not follow from the assurance",
    ],
    [BigInt(po.auditReserveNanos) === expected.auditReserveNanos, "what is held for an audit does not follow from time and price"],
    [
      po.auditedBefore >= 0 && po.auditPpm === auditPpmOf(wanted, po.auditedBefore),
      "the rate of audits does not follow from what is said of the owner's record",
    ],
  ]);
}

function timesProblem(po: PurchaseOrderContent, wanted: OrderContent, offered: OfferContent): string | null {
  const { timings } = po;
  return firstWrong([
    [sameTimings(timings, wanted.timings), "the timings are not the ones that the customer signed"],
    [sameTimings(timings, offered.timings), "the timings are not the ones that the owner signed"],
    [po.acceptBy === po.issuedAt + timings.acceptWithinMs, "acceptBy does not follow from the timings"],
    [po.startBy === po.acceptBy + timings.startWithinMs, "startBy does not follow from the timings"],
    [po.issuedAt < wanted.expiresAt, "the order had expired when it was issued"],
    [po.issuedAt < offered.validUntil, "the offer had expired when it was issued"],
  ]);
}

function feeProblem(po: PurchaseOrderContent, { order, offer, fee }: Contents["purchase-order"]): string | null {
  return firstWrong([
    [po.feeBasisPoints === (fee?.basisPoints ?? 0), "the fee is not the one that was announced"],
    [fee === null || fee.effectiveAt <= po.issuedAt, "the fee was announced for a later time"],
    [po.feeBasisPoints <= order.payload.feeBasisPointsMax, "the fee is higher than its customer has signed"],
    [po.feeBasisPoints <= offer.payload.feeBasisPointsMax, "the fee is higher than its owner has signed"],
  ]);
}

/** Why order and offer do not go together, by what their signers wrote alone; null when they do. */
function fitProblem(order: OrderContent, offer: OfferContent, at: number): string | null {
  const why = exclusionOf(offeredCandidate("", offer), wishOf(order), at);
  return why === null ? null : `the offer does not meet the order (${why})`;
}

/** The first thing wrong with a purchase order, in words; null when nothing is. */
export function bindingProblem(content: Contents["purchase-order"]): string | null {
  const { payload: po, order, offer } = content;
  const wrong = orderProblem(order.payload);
  return (
    signersProblem(content) ??
    frozenProblem(po, order, offer) ??
    timesProblem(po, order.payload, offer.payload) ??
    feeProblem(po, content) ??
    (wrong && `the order's ${wrong.path}: ${wrong.why}`) ??
    fitProblem(order.payload, offer.payload, po.issuedAt)
  );
}
