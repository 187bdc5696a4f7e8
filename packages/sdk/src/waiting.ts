/**
 * An order waits at the broker until there is room for it: its customer looks where it stands whenever an event is heard, and follows it
 * to the lease that it comes to. Giving it up is a signed word of its own. Who controls the inputs: the broker (where the order stands, the
 * purchase order, which is checked as any other).
 */
import { isTakenLater, parseRefusal, type SignedDocument } from "@xenoservers/protocol";
import type { MarketClient } from "./client.ts";
import { openLink } from "./connect.ts";
import { MarketError, RefusedError, StalledError, type MoneyEffect } from "./errors.ts";
import { assertDate, fetchBound, type BoundOrder } from "./purchase-order.ts";
import { Alarm } from "./session/alarm.ts";
import { withdrawOrder } from "./withdrawing.ts";
import type { Withdrawn } from "./withdrawn.ts";

/** Where nothing is heard, how often it is looked where the order stands. */
const LOOK_MS = 10_000;
/** A broker has said by then what came of an order whose time is over. */
const LATE_MS = 60_000;

export interface WhileWaiting {
  /** Awaited before the order is sent, with its id: whoever keeps it asks what became of it, also where its answer does not come. */
  onSigned?(order: string): Promise<void>;
  /** Called with the order's place whenever it is read: how many orders come before it, until when it waits in broker time. */
  onPlace?: ((ahead: number, until: number) => void) | undefined;
  /** Aborted: the order is withdrawn. */
  signal?: AbortSignal | undefined;
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

/**
 * The lease that a waiting order comes to. Whatever else ends the waiting gives the order up, so that it comes to nothing that nobody knows
 * of. Throws RefusedError where it comes to no lease, StalledError where its time is over and the broker says that it waits,
 * NoLongerWaiting, BrokenPurchaseOrder.
 */
export async function untilBound(
  client: MarketClient,
  order: SignedDocument<"order">,
  { onPlace, signal, hears }: WhileWaiting,
): Promise<BoundOrder> {
  const signedAt = client.brokerNow();
  // by this machine's clock from here on: a broker whose time stands still would be waited for without end
  const endsAt = client.timers.now() + order.payload.expiresAt - signedAt + LATE_MS;
  const alarm = new Alarm(client.timers);
  let heard = 0;
  let isOver = false;
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
      const stands = await saidNow(client.read("order", { params: { id: order.id }, signal }), signal);
      if (stands?.refused) {
        isOver = true;
        throw new RefusedError(parseRefusal(stands.refused));
      }
      const bound = stands?.lease && (await saidNow(boundSince(client, signedAt, stands.lease, order.id), signal));
      if (bound) return bound;
      if (client.timers.now() > endsAt) throw new StalledError("the order's time is over, and the broker does not say what came of it");
      if (stands?.waiting) onPlace?.(stands.waiting.ahead, stands.waiting.until);
      // what was heard while it was read may have come after it
      if (heard === before) await alarm.wait(LOOK_MS);
    }
  } catch (error) {
    // a lease that nobody follows would cost its customer something
    if (!isOver && !(error instanceof NoLongerWaiting)) await giveUp(client, order);
    throw error;
  } finally {
    signal?.removeEventListener("abort", ring);
    deaf();
  }
}

function hearing(client: MarketClient, ring: () => void): () => void {
  const link = openLink(client, { onUp: ring, onEvent: ring });
  return () => link.stop();
}

/** Null: the broker does not say now. */
async function saidNow<T>(asked: Promise<T>, signal: AbortSignal | undefined): Promise<T | null> {
  try {
    return await asked;
  } catch (error) {
    if (signal?.aborted === true || (error instanceof RefusedError && isTakenLater(error.refusal.code))) return null;
    throw error;
  }
}

async function boundSince(client: MarketClient, signedAt: number, lease: string, order: string): Promise<BoundOrder> {
  const bound = await fetchBound(client, lease, order);
  assertDate(bound, signedAt);
  return bound;
}

/** It waits no more; one that was bound meanwhile is stopped. */
export async function giveUp(client: MarketClient, { id: order }: SignedDocument<"order">): Promise<Withdrawn> {
  const { party } = client.identity;
  const reason = "given up before its purchase order came";
  const answer = await client.submit(client.sign("order-withdrawal", { party, order, reason }).envelope).catch(() => null);
  if (answer?.ok) return "withdrawn";
  return answer?.code === "wrong_state" ? withdrawOrder(client, { order, lease: null }, reason) : "unheard";
}
