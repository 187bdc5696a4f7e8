/**
 * A purchase order believed by nobody: server and customer check each for themselves that it binds exactly the order and the offer that were
 * signed, at the offer's price, within the order's limits. Who controls the input: the broker, every byte.
 */
import { quote, replicaBudget, stakeToLockNanos, type PriceVector } from "@xenoservers/market";
import { parseDocumentOf, serverIdOf, type Crypto, type Payload, type SignedDocument } from "@xenoservers/protocol";

export interface MarketPins {
  origin: string;
  keys: { purchaseOrders: string; checkpoints: string; receipts: string };
}

export type CheckedPurchaseOrder =
  | { ok: true; po: SignedDocument<"purchase-order">; order: SignedDocument<"order">; offer: SignedDocument<"offer"> }
  | { ok: false; why: string };

export const priceVectorOf = (price: { [K in keyof PriceVector]: string }): PriceVector => ({
  vcpuNanosPerSecond: BigInt(price.vcpuNanosPerSecond),
  memoryGibNanosPerSecond: BigInt(price.memoryGibNanosPerSecond),
  diskGibNanosPerSecond: BigInt(price.diskGibNanosPerSecond),
  gigaFuelNanos: BigInt(price.gigaFuelNanos),
  egressGibNanos: BigInt(price.egressGibNanos),
});

const same = (a: unknown, b: unknown): boolean => JSON.stringify(a) === JSON.stringify(b);

/** The first thing wrong with what the purchase order says, in words; null when nothing is. */
function problemWith(crypto: Crypto, po: Payload<"purchase-order">, order: SignedDocument<"order">, offer: SignedDocument<"offer">): string | null {
  const { payload: wanted } = order;
  const { payload: offered } = offer;
  const expected = quote({
    terms: wanted.terms,
    resources: wanted.resources,
    price: priceVectorOf(offered.price),
    budgetNanos: replicaBudget(BigInt(wanted.budgetNanos), wanted.replicas),
    durationMsMax: wanted.durationMsMax,
    fuelMax: BigInt(wanted.fuelMax),
    egressMibMax: wanted.egressMibMax,
  });
  const checks: [boolean, string][] = [
    [po.orderId === order.id, "orderId is not the embedded order's"],
    [po.slot < wanted.replicas, "the order has no such slot"],
    [po.offerId === offer.id, "offerId is not the embedded offer's"],
    [wanted.origin === po.origin && offered.origin === po.origin, "order or offer was made for another market"],
    [po.customer === wanted.party && po.account === wanted.account, "the customer is not the order's"],
    [po.owner === offered.owner && po.server === offered.server, "the server is not the offer's"],
    [po.serverKey === offer.keyid && serverIdOf(crypto, offer.keyid) === po.server, "the server's key did not sign the offer"],
    [same(po.resources, wanted.resources), "the resources are not the order's"],
    [same(po.price, offered.price), "the price is not the offer's"],
    [po.terms === wanted.terms, "the terms are not the order's"],
    [po.durationMsMax <= offered.maxLeaseMs, "it runs longer than the offer allows"],
    [po.durationMsMax === expected.durationMsMax && po.timeBound === expected.timeBound, "the longest time does not follow from budget and price"],
    [BigInt(po.fuelMax) === expected.fuelMax && po.fuelBound === expected.fuelBound, "the most fuel does not follow from budget and price"],
    [po.egressMibMax === wanted.egressMibMax, "the most egress is not the order's"],
    [
      BigInt(po.holdNanos) === expected.holdNanos && BigInt(po.cancellationNanos) === expected.cancellationNanos,
      "the hold does not follow from time and price",
    ],
    [BigInt(po.holdNanos) <= BigInt(wanted.budgetNanos), "the hold is over the order's budget"],
    [wanted.maxPriceNanosPerHour === null || expected.ratePerHourNanos <= BigInt(wanted.maxPriceNanosPerHour), "the rate is over the order's maximum price"],
    [offered.assurances.includes(wanted.assurance) && offered.drivers.includes(wanted.driver), "the offer does not give what was ordered"],
    [wanted.driver !== "qemu" || wanted.accel === "any" || offered.accel === "kvm", "the offer's machines are emulated"],
    [BigInt(po.stakeNanos) === stakeToLockNanos(wanted.assurance, expected.holdNanos), "the locked stake does not follow from the assurance"],
    [po.issuedAt < wanted.expiresAt && po.issuedAt < offered.validUntil, "order or offer had expired when it was issued"],
  ];
  return checks.find(([right]) => !right)?.[1] ?? null;
}

export function checkPurchaseOrder(crypto: Crypto, pins: MarketPins, untrusted: unknown): CheckedPurchaseOrder {
  const parsed = parseDocumentOf(crypto, "purchase-order", untrusted);
  if (!parsed.ok) return { ok: false, why: `it is not a purchase order (${parsed.code})` };
  const po = parsed.document;
  if (po.keyid !== pins.keys.purchaseOrders) return { ok: false, why: "it is not signed by the broker's pinned key" };
  if (po.payload.origin !== pins.origin) return { ok: false, why: "it was made for another market" };
  const order = parseDocumentOf(crypto, "order", po.payload.order);
  if (!order.ok) return { ok: false, why: `the embedded order is not one (${order.code})` };
  const offer = parseDocumentOf(crypto, "offer", po.payload.offer);
  if (!offer.ok) return { ok: false, why: `the embedded offer is not one (${offer.code})` };
  const why = problemWith(crypto, po.payload, order.document, offer.document);
  return why === null ? { ok: true, po, order: order.document, offer: offer.document } : { ok: false, why };
}
