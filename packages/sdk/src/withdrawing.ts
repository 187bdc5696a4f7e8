/**
 * A customer gives an order up: whatever lease it has come to is stopped, so that no server takes it any more and nothing is charged from
 * then on. An order that moves on meanwhile is followed, as often as an order may move. Who controls the inputs: the broker (where the
 * order stands).
 */
import { ATTEMPTS_MAX } from "@xenoservers/market";
import type { MarketClient } from "./client.ts";
import { RefusedError } from "./errors.ts";
import { leaseBy } from "./purchase-order.ts";
import { readDocuments } from "./receipt.ts";
import type { Withdrawn } from "./withdrawn.ts";

interface Placed {
  order: string;
  /** The lease that it came to last, as far as is known here; null: nobody knows. */
  lease: string | null;
}

/** By a purchase order for that order, however broken: the broker's word alone could be another lease of this customer's. */
async function leaseOf(client: MarketClient, order: string): Promise<string | null> {
  if (!client.identity.scopes.includes("read")) return null;
  const { lease } = await client.read("order", { params: { id: order } });
  if (lease === null) return null;
  const { documents } = await readDocuments(client, lease);
  return leaseBy(client, documents.find(({ kind }) => kind === "purchase-order")?.envelope, order);
}

async function stopped(client: MarketClient, { order, lease: known }: Placed, reason: string): Promise<Withdrawn> {
  const { party } = client.identity;
  let lease = known ?? (await leaseOf(client, order));
  for (let attempt = 0; lease !== null && attempt <= ATTEMPTS_MAX; attempt++) {
    const answer = await client.submit(client.sign("stop", { lease, party, reason }).envelope);
    if (answer.ok) return "withdrawn";
    if (answer.code !== "wrong_state") return "unheard";
    const latest = await leaseOf(client, order);
    if (latest === lease) return "over";
    lease = latest;
  }
  return "over";
}

export async function withdrawOrder(client: MarketClient, placed: Placed, reason: string): Promise<Withdrawn> {
  try {
    return await stopped(client, placed, reason);
  } catch (error) {
    return error instanceof RefusedError && error.refusal.code === "not_found" ? "over" : "unheard";
  }
}
