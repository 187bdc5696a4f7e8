/**
 * An order waits at the broker until there is room for it: its customer looks where it stands whenever an event is heard, and follows it
 * to the lease that it comes to. Giving it up is a signed word of its own. Who controls the inputs: the broker (where the order stands, the
 * purchase order, which is checked as any other).
 */
import { isTakenLater, parseRefusal, type SignedDocument } from "@xenoservers/protocol";
import type { MarketClient } from "./client.ts";
import { openLink } from "./connect.ts";
import { MarketError, RefusedError, type MoneyEffect } from "./errors.ts";
import { ORDER_VALID_MS } from "./order.ts";
import { BrokenPurchaseOrder, fetchBound, type BoundOrder } from "./purchase-order.ts";
import { Alarm } from "./session/alarm.ts";
import { withdrawOrder } from "./withdrawing.ts";
import type { Withdrawn } from "./withdrawn.ts";

/** Where nothing is heard, how often it is looked where the order stands. */
const LOOK_MS = 10_000;
/** A broker that answers has said by then what came of an order whose time is over. */
const LATE_MS = 60_000;

export interface WhileWaiting {
  /** Awaited before the order is sent, with its id: whoever keeps it can ask after a crash what became of it. */
  onSigned?(order: string): Promise<void>;
  /** Called with the order's place whenever it is read: how many orders come before it, until when it waits in broker time. */
  onPlace?(ahead: number, until: number): void;
  /** Aborted: the order is withdrawn. */
  signal?: AbortSignal;
  /** Of a link that is open anyway: has `ring` called at each event and whenever it is up, until what it returns is called. */
  hears?(ring: () => void): () => void;
}

/** An order that was given up while it waited. */
export class NoLongerWaiting extends MarketError {
  override name = "NoLongerWaiting";
  readonly code = "given_up";
  /** Whether the broker has confirmed it; an order that it has not heard of ends by itself when it expires. */
  readonly left: Withdrawn;
  constructor(left: Withdrawn) {
    super("the order was given up while it waited for room");
    this.left = left;
  }

  override get money(): MoneyEffect {
    return this.left === "unheard" ? "unknown" : "withdrawn";
  }
}

/** The lease that a waiting order comes to. Throws RefusedError where it comes to none, NoLongerWaiting, BrokenPurchaseOrder. */
export async function untilBound(
  client: MarketClient,
  order: SignedDocument<"order">,
  { onPlace, signal, hears }: WhileWaiting,
): Promise<BoundOrder> {
  const signedAt = client.brokerNow();
  const alarm = new Alarm(client.timers);
  let heard = 0;
  const ring = (): void => {
    heard++;
    alarm.ring();
  };
  const deaf = hears ? hears(ring) : hearing(client, ring);
  signal?.addEventListener("abort", ring);
  try {
    for (;;) {
      const before = heard;
      if (signal?.aborted === true) throw new NoLongerWaiting(await giveUp(client, order));
      const stands = await standing(client, order);
      if (stands?.refused) throw new RefusedError(parseRefusal(stands.refused));
      if (stands?.lease) return notBefore(signedAt, await fetchBound(client, stands.lease, order.id));
      if (stands?.waiting) onPlace?.(stands.waiting.ahead, stands.waiting.until);
      // what was heard while it was read may have come after it
      if (heard === before) await alarm.wait(LOOK_MS);
    }
  } finally {
    signal?.removeEventListener("abort", ring);
    deaf();
  }
}

function hearing(client: MarketClient, ring: () => void): () => void {
  const link = openLink(client, { onUp: ring, onEvent: ring });
  return () => link.stop();
}

/** Where the order stands; null: the broker does not say now. */
async function standing(client: MarketClient, order: SignedDocument<"order">) {
  try {
    return await client.read("order", { params: { id: order.id } });
  } catch (error) {
    const isAway = error instanceof RefusedError && isTakenLater(error.refusal.code);
    if (!isAway || client.brokerNow() > order.payload.expiresAt + LATE_MS) throw error;
    return null;
  }
}

/** An earlier date would bring back an offer or a fee that holds no more. */
function notBefore(signedAt: number, bound: BoundOrder): BoundOrder {
  if (bound.po.payload.issuedAt >= signedAt - ORDER_VALID_MS) return bound;
  throw new BrokenPurchaseOrder("it is dated long before the order was signed", bound.po.envelope, []);
}

/** It waits no more; one that was bound in the same moment is stopped. */
async function giveUp(client: MarketClient, { id: order }: SignedDocument<"order">): Promise<Withdrawn> {
  const { party } = client.identity;
  const answer = await client.submit(client.sign("order-withdrawal", { party, order, reason: "given up while it waited" }).envelope);
  if (answer.ok) return "withdrawn";
  return answer.code === "wrong_state" ? withdrawOrder(client, { order, lease: null }, "given up while it waited") : "unheard";
}
