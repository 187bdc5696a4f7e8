/**
 * From a signed order to leases: the order is placed, every purchase order that comes back is checked, and one that is not right ends
 * what it began.
 */
import { clockWords } from "@xenoservers/market";
import { refuse, type SignedDocument } from "@xenoservers/protocol";
import * as z from "zod/mini";
import type { MarketClient } from "./client.ts";
import { InputError, RefusedError } from "./errors.ts";
import { ORDER_VALID_MS, signOrder, type Wanted } from "./order.ts";
import { BrokenPurchaseOrder, checkBound, leaseBy, type BoundOrder } from "./purchase-order.ts";
import { giveUp, untilBound, type WhileWaiting } from "./waiting.ts";

/** What an order is answered with. `grants`: what gives the keys of order and offers their roles. */
const zPlaced = z.looseObject({
  purchaseOrder: z.unknown(),
  grants: z._default(z.array(z.unknown()), []),
  replicas: z.optional(z.array(z.looseObject({ purchaseOrder: z.unknown() }))),
});

/** An expired order binds nothing, and one that never expires would bind for ever: both sides must know what time it is. */
function clockProblem(client: MarketClient): string | null {
  const aheadMs = client.timers.now() - client.brokerNow();
  if (Math.abs(aheadMs) < ORDER_VALID_MS) return null;
  return `this machine's clock is ${clockWords({ offsetMs: aheadMs }, "the broker's")}; set it (NTP), nothing was ordered`;
}

/** Ends what was bound under another purchase order than ordered: nothing of it is wanted. What is refused had not begun. */
async function stopAll(client: MarketClient, order: string, broken: readonly (BrokenPurchaseOrder | BoundOrder)[]): Promise<void> {
  const leases = broken.map((each) => (each instanceof BrokenPurchaseOrder ? leaseBy(client, each.purchaseOrder, order) : each.po.id));
  for (const lease of leases) {
    if (lease === null) continue;
    const reason = "the purchase order is not what was ordered";
    await client.submit(client.sign("stop", { lease, party: client.identity.party, reason }).envelope).catch(() => null);
  }
}

interface Checked {
  all: (BoundOrder | BrokenPurchaseOrder)[];
  bound: BoundOrder[];
}

interface Signed {
  order: SignedDocument<"order">;
  at: number;
}

function checkAll(client: MarketClient, { order, at }: Signed, slots: readonly unknown[], grants: readonly unknown[]): Checked {
  const all = slots.map((purchaseOrder) => {
    try {
      return checkBound(client, order, purchaseOrder, grants, at);
    } catch (error) {
      if (error instanceof BrokenPurchaseOrder) return error;
      throw error;
    }
  });
  return { all, bound: all.flatMap((each) => (each instanceof BrokenPurchaseOrder ? [] : [each])) };
}

/** One lease of each slot, in order of slots; replicas do not wait. Throws RefusedError, BrokenPurchaseOrder, NoLongerWaiting. */
export async function placeReplicas(
  client: MarketClient,
  wanted: Wanted,
  jobHash: string,
  whileWaiting: WhileWaiting = {},
): Promise<BoundOrder[]> {
  const waits = wanted.waitMs !== undefined && (wanted.replicas ?? 1) === 1;
  for (let again = false; ; again = true) {
    const market = await client.market(again);
    const problem = clockProblem(client);
    if (problem !== null) throw new InputError(problem);
    const at = client.brokerNow();
    const order = signOrder(client, market, wanted, jobHash);
    await whileWaiting.onSigned?.(order.id);
    const answer = await client.submit(order.envelope, { waits });
    // timings or fee are others since they were read; whether the new ones will do is for what is wanted to say
    if (!answer.ok && answer.code === "stale_terms" && !again) continue;
    if (!answer.ok) {
      // the answer may have been lost, and not the order, which whoever was told its id follows
      const isFollowed = whileWaiting.onSigned && !whileWaiting.signal?.aborted;
      if (answer.code === "unavailable" && !isFollowed) await giveUp(client, order);
      throw new RefusedError(answer);
    }
    if (waits && "waiting" in answer.answer) return [await untilBound(client, order, whileWaiting)];
    const { purchaseOrder, grants, replicas } = zPlaced.parse(answer.answer);
    const { all, bound } = checkAll(client, { order, at }, replicas?.map((slot) => slot.purchaseOrder) ?? [purchaseOrder], grants);
    const broken = all.find((each) => each instanceof BrokenPurchaseOrder) ?? replicasProblem(bound, wanted.replicas ?? 1, grants);
    if (!broken) return bound;
    await stopAll(client, order.id, all);
    throw broken;
  }
}

/** Replicas are of as many owners as were ordered, and each stands for itself. */
function replicasProblem(bound: readonly BoundOrder[], replicas: number, grants: readonly unknown[]): BrokenPurchaseOrder | null {
  const owners = new Set(bound.map(({ po }) => po.payload.owner));
  const slots = new Set(bound.map(({ po }) => po.payload.slot));
  if (bound.length === replicas && owners.size === replicas && slots.size === replicas) return null;
  return new BrokenPurchaseOrder(`it draws ${owners.size} owners for ${replicas} replicas`, bound[0]?.po.envelope ?? null, grants);
}

/** One order of one replica. Throws RefusedError, BrokenPurchaseOrder, NoLongerWaiting. */
export async function placeOrder(
  client: MarketClient,
  wanted: Wanted,
  jobHash: string,
  whileWaiting: WhileWaiting = {},
): Promise<BoundOrder> {
  const [bound] = await placeReplicas(client, wanted, jobHash, whileWaiting);
  if (!bound) throw new RefusedError(refuse("internal", { why: "the broker's answer to the order holds no purchase order" }));
  return bound;
}
