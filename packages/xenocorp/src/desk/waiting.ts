/**
 * Orders that wait for room: taken in while the market is full, bound when their turn comes, given up by their customer, or over in time.
 * Nothing is held while an order waits; whether there is money, and whether its key may still spend it, is asked when it is bound.
 * Who controls the inputs: the customer (the order, its withdrawal), owners (by what has room).
 */
import { WAITING_MS_MAX, invariant, moneyKey, quoteOn, wirePriceOf } from "@xenoservers/market";
import { isOfKind, parseDocumentOf, refuse, type Refusal, type SignedDocument, type Verified } from "@xenoservers/protocol";
import type { OrderRow, Versioned } from "../store/store.ts";
import { identify, outsideOf, type PartyCaller } from "./caller.ts";
import { bind, checkOrder, couldTakeLater, placeOrder, waitFor } from "./orders.ts";
import { planned, type Outcome } from "./outcome.ts";
import type { Round } from "./round.ts";
import { leavePlace } from "./waiting-places.ts";

/** An order that waits where there is no room for it now. A referee's run does not: its turn is drawn. */
export async function orderOrWait(round: Round, document: Verified<"order">, caller: PartyCaller): Promise<Outcome> {
  const placed = await placeOrder(round, document, caller);
  const order = document.payload;
  if (placed.ok || placed.code !== "busy" || order.judges !== null) return placed;
  const poor = await poorFor(round, document, caller);
  if (poor) return poor;
  const until = Math.min(order.expiresAt, round.at + WAITING_MS_MAX);
  return planned(round, {
    id: document.id,
    filed: [{ document, parties: [order.party] }],
    answer: { order: document.id, waiting: { until } },
    uniques: [`${order.party}/${order.clientId}`],
    ...waitFor(round, document, null, until),
  });
}

/** Who could not pay for the cheapest server that it waits for takes no place from others. */
async function poorFor(round: Round, document: Verified<"order">, caller: PartyCaller): Promise<Refusal | null> {
  const purse = await checkOrder(round, document, caller);
  if (!purse.ok) return purse;
  const key = moneyKey(purse.purse, "available");
  const available = (await round.services.store.balances([key])).get(key) ?? 0n;
  const able = await couldTakeLater(round, document.payload, []);
  const holds = able.map(({ price }) => quoteOn(document.payload, { price: wirePriceOf(price) }, 0).holdNanos);
  const least = holds.reduce((a, b) => (b < a ? b : a), holds[0] ?? 0n);
  if (available >= least) return null;
  return refuse("insufficient_funds", { account: purse.purse, missingNanos: (least - available).toString() });
}

async function documentOf(round: Round, id: string): Promise<SignedDocument<"order">> {
  const stored = await round.services.store.document(id);
  const parsed = stored && parseDocumentOf(round.services.crypto, "order", stored.envelope);
  invariant(parsed?.ok, "an order that waits is filed");
  return parsed.document;
}

/** Its turn: bound where something fits now. Null: it waits no more. */
export async function bindWaiting(round: Round, id: string): Promise<Outcome | null> {
  const row = await round.get("order", id);
  if (!row?.data.waiting) return null;
  if (row.data.waiting.until <= round.at) return waitingDue(round, id);
  const identified = await identify(round, await documentOf(round, id));
  if (!identified.ok) return identified;
  const { document, caller } = identified;
  invariant(caller !== null && isOfKind(document, "order"), "only a party's own key signs an order");
  const purse = await checkOrder(round, document, caller);
  if (!purse.ok) return purse;
  const { attempt, triedServers } = row.data;
  return bind(round, document, purse, { attempt: attempt + 1, triedServers, previous: { version: row.version, row: row.data } });
}

/** It waits no more: what is said of it is the last that is said. Null: it does not wait. */
export async function endWaiting(round: Round, id: string, refusal: Refusal): Promise<Outcome | null> {
  const row = await round.get("order", id);
  return row?.data.waiting ? planned(round, { id: `waiting/${id}/${row.version}/over`, filed: [], ...endOf(row, refusal) }) : null;
}

function endOf({ version, data }: Versioned<OrderRow>, { code, facts }: Refusal) {
  const { id, customer, attempt } = data;
  const over: OrderRow = { ...data, deadlineAt: null, waiting: null, refused: { code, facts } };
  return {
    puts: [{ kind: "order" as const, id, expect: version, data: over }],
    transfers: leavePlace({ order: id, customer, attempt }),
    events: [{ party: customer, kind: "order-refused", lease: null, data: { order: id, code } }],
    effects: [{ kind: "order-waits-no-more" as const, order: id }],
  };
}

/** The time of an order that waits is over. A broker that was away binds nothing late. */
export async function waitingDue(round: Round, id: string): Promise<Outcome | null> {
  const waiting = (await round.get("order", id))?.data.waiting;
  if (!waiting || waiting.until > round.at) return null;
  return endWaiting(round, id, refuse("busy", { waitedMs: round.at - waiting.since, why: "no room came while it waited" }));
}

export async function withdrawOrder(round: Round, document: Verified<"order-withdrawal">, caller: PartyCaller): Promise<Outcome> {
  const { order: id, party } = document.payload;
  const row = await round.get("order", id);
  if (!row || row.data.customer !== party) return refuse("not_found", { order: id });
  const { payload } = await documentOf(round, id);
  if (outsideOf(caller.key, payload)) return refuse("not_found", { order: id });
  const { waiting, lease } = row.data;
  if (!waiting) return refuse("wrong_state", { state: lease === null ? "over" : "bound", lease, why: "it does not wait any more" });
  const over = endOf(row, refuse("withdrawn"));
  return planned(round, { id: document.id, filed: [{ document, parties: [party] }], answer: { order: id }, ...over });
}
