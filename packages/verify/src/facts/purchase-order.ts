/**
 * A purchase order believed by nobody: server and customer each check for themselves that it binds exactly the order and the offer that
 * were signed, by keys that may sign them, at the offer's price and the announced fee, within the order's limits and conditions. Who
 * controls the input: the broker.
 */
import { step, type Lease } from "@xenoservers/market";
import { verifyDocumentOf, type Refusal, type Verified } from "@xenoservers/protocol";
import { factOf, type FactWorld } from "./facts.ts";

export type CheckedPurchaseOrder =
  | { ok: true; po: Verified<"purchase-order">; order: Verified<"order">; offer: Verified<"offer">; lease: Lease }
  | { ok: false; why: string };

const wrong = (why: string): CheckedPurchaseOrder => ({ ok: false, why });

export function checkPurchaseOrder(world: FactWorld, untrusted: unknown): CheckedPurchaseOrder {
  const read = verifyDocumentOf("purchase-order", untrusted, { ...world, at: 0 });
  if (!read.ok) return wrong(`it is not a purchase order of this market's broker (${read.code})`);
  const po = read.document;
  const at = po.payload.issuedAt;
  const fact = factOf(world, po, at);
  if (fact === null || !fact.ok) return wrong(embeddedProblem(fact));
  const bound = step(null, fact.fact);
  if (!bound.ok) return wrong(bound.why);
  const order = verifyDocumentOf("order", po.payload.order, { ...world, at });
  const offer = verifyDocumentOf("offer", po.payload.offer, { ...world, at });
  if (!order.ok || !offer.ok) return wrong("what it embeds is not rightly signed");
  return { ok: true, po, order: order.document, offer: offer.document, lease: bound.lease };
}

/** A later version of a document is nobody's wrong: who reads it is too old for it. */
function embeddedProblem(fact: Refusal | null): string {
  const { inside } = fact?.facts ?? {};
  const what = typeof inside === "string" ? ` in its ${inside}` : "";
  if (fact?.code === "unknown_kind") return `there is a document of a later version${what}: upgrade xeno to use it`;
  return `what it embeds is not rightly signed (${fact ? fact.code : "no fact"}${what})`;
}
