/**
 * The broker's purchase order as its customer takes it: believed only where it follows from the order that was signed here, the offer
 * that its owner signed and the announced fee. Nothing of a job is sent on any other. Who controls the inputs: the broker, every byte.
 */
import { KeyBook, parseDocumentOf, type Receipt, type SignedDocument } from "@xenoservers/protocol";
import { checkPurchaseOrder, servingOf, type CheckedPurchaseOrder, type FactWorld, type Serving } from "@xenoservers/verify";
import type { MarketClient } from "./client.ts";
import { ORDER_VALID_MS } from "./order.ts";
import { BrokenWordError, MarketError } from "./errors.ts";
import { readDocuments } from "./receipt.ts";

type Checked = Extract<CheckedPurchaseOrder, { ok: true }>;

/** A purchase order that was checked, what is known of its signers, and which server has the lease now. */
export type BoundOrder = Checked & { world: FactWorld; serving: Serving };

/** Where every lease begins. */
const asBound = ({ po, offer }: Checked): Serving => ({
  ...{ server: po.payload.server, serverKey: po.payload.serverKey, channelKey: offer.payload.channelKey },
});

/** What the broker wanted a job to run under. `purchaseOrder` and `grants` are kept: they show it to others. */
export class BrokenPurchaseOrder extends MarketError {
  override name = "BrokenPurchaseOrder";
  readonly code = "broken_purchase_order";
  readonly why: string;
  readonly purchaseOrder: unknown;
  readonly grants: readonly unknown[];

  constructor(why: string, purchaseOrder: unknown, grants: readonly unknown[]) {
    super(`the broker's purchase order is not what was ordered: ${why}; nothing of the job was sent`);
    this.why = why;
    this.purchaseOrder = purchaseOrder;
    this.grants = grants;
  }
}

/**
 * The lease that a purchase order begins, or would if it were right; null where it cannot be read, or is that of another order, whose lease
 * runs by right.
 */
export function leaseBy(client: MarketClient, purchaseOrder: unknown, order: string): string | null {
  const parsed = parseDocumentOf(client.crypto, "purchase-order", purchaseOrder);
  return parsed.ok && parsed.document.payload.orderId === order ? parsed.document.id : null;
}

/** What is known of keys after these public documents; each counts only where it is rightly signed. */
export function worldOf(client: Pick<MarketClient, "crypto" | "pins">, grants: readonly { envelope: unknown; at?: number }[]): FactWorld {
  const book = new KeyBook(client.crypto, client.pins.origin);
  for (const { envelope, at } of grants) book.learn(envelope, at);
  return { crypto: client.crypto, market: client.pins, keyOf: book.keyOf };
}

/** The broker names a server to which both servers' documents do not lead: its receipt shows it. */
export class BrokenMove extends BrokenWordError {}

/** An earlier date would bring back an offer or a fee that holds no more. `signedAt`: of the order. Throws BrokenPurchaseOrder. */
export function assertDate({ po }: BoundOrder, signedAt: number, grants: readonly unknown[] = []): void {
  if (po.payload.issuedAt >= signedAt - ORDER_VALID_MS) return;
  throw new BrokenPurchaseOrder("it is dated long before the order was signed", po.envelope, grants);
}

/** A purchase order for an order that was signed here at `signedAt`, however long it would have waited; throws BrokenPurchaseOrder. */
export function checkBound(
  client: MarketClient,
  order: SignedDocument<"order">,
  purchaseOrder: unknown,
  grants: readonly unknown[],
  signedAt: number,
): BoundOrder {
  const broken = (why: string): BrokenPurchaseOrder => new BrokenPurchaseOrder(why, purchaseOrder, grants);
  const world = worldOf(
    client,
    grants.map((envelope) => ({ envelope })),
  );
  const checked = checkPurchaseOrder(world, purchaseOrder);
  if (!checked.ok) throw broken(checked.why);
  if (checked.order.id !== order.id) throw broken("it embeds another order than the one that was signed here");
  const bound = { ...checked, world, serving: asBound(checked) };
  assertDate(bound, signedAt, grants);
  return bound;
}

/**
 * The purchase order of that very lease, fetched again: another's has its own job and budget. `orderId`: the order that it must be for.
 * Throws BrokenPurchaseOrder.
 */
export async function fetchBound(client: MarketClient, lease: string, orderId?: string): Promise<BoundOrder> {
  return boundIn(client, await readDocuments(client, lease), lease, orderId);
}

/** The same in a receipt that was fetched. */
export function boundIn(client: MarketClient, receipt: Receipt, lease: string, orderId?: string): BoundOrder {
  const { documents, leaves } = receipt;
  const world = worldOf(client, leaves);
  const purchaseOrder = documents.find(({ kind }) => kind === "purchase-order")?.envelope;
  const grants = leaves.map(({ envelope }) => envelope);
  const checked = checkPurchaseOrder(world, purchaseOrder);
  if (!checked.ok) throw new BrokenPurchaseOrder(checked.why, purchaseOrder, grants);
  if (checked.po.id !== lease) throw new BrokenPurchaseOrder("it is that of another lease", purchaseOrder, grants);
  if (orderId !== undefined && checked.order.id !== orderId)
    throw new BrokenPurchaseOrder("it embeds another order", purchaseOrder, grants);
  const moved = documents.some(({ kind }) => kind === "move") ? servingOf(client.crypto, client.pins, receipt) : null;
  if (moved?.ok === false) throw new BrokenMove(`the broker moved the lease against its documents: ${moved.why}; nothing was sent there`);
  return { ...checked, world, serving: moved?.serving ?? asBound(checked) };
}
