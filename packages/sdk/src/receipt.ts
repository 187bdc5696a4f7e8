/** Receipts: fetched until every document has its place in the log, then kept for offline use. */
import type { Receipt, RouteQueryInput } from "@xenoservers/protocol";
import type { MarketClient } from "./client.ts";
import { BrokenWordError } from "./errors.ts";

const POLL_MS = 50;
/** Documents of a part: 1 MB, which a broker has answered before others wait for it. */
export const PART = 500;
/** So many are held: a day of claims, or an extension every ten minutes for two months. */
const HELD_MAX = 20_000;

/** Whether all of it stands in the log, so that a checkpoint can prove it. */
export const isLogged = ({ documents, leaves }: Receipt): boolean => [...documents, ...leaves].every(({ index }) => index !== null);

/** Of a receipt what is asked for. */
export const readPart = (client: MarketClient, id: string, query: RouteQueryInput<"receipt">): Promise<Receipt> =>
  client.read("receipt", { params: { id }, query });

/** Part by part, under the checkpoint of the first; `hasMore`: there are more than are held. */
async function readParts(client: MarketClient, lease: string, asked: { brief?: "true" }): Promise<Receipt> {
  const receipt = await readPart(client, lease, { limit: PART, ...asked });
  let part = receipt;
  while (part.hasMore && part.documents.length > 0 && receipt.documents.length < HELD_MAX) {
    part = await readPart(client, lease, { limit: PART, ...asked, size: receipt.size, after: receipt.documents.at(-1)!.id });
    receipt.documents.push(...part.documents);
    receipt.leaves.push(...part.leaves.filter(({ id }) => !receipt.leaves.some((leaf) => leaf.id === id)));
  }
  return { ...receipt, hasMore: part.hasMore };
}

/**
 * What is in a receipt: all of it, or, where `hasMore` says that it is longer than one part, all but claims and their receipts: as it
 * stands, or once that is in the log, or `withinMs` are over.
 */
export async function readDocuments(client: MarketClient, lease: string, withinMs = -1): Promise<Receipt> {
  for (const deadline = client.timers.now() + withinMs; ;) {
    const first = await readPart(client, lease, { limit: PART });
    const receipt = first.hasMore ? { ...(await readParts(client, lease, { brief: "true" })), hasMore: true } : first;
    if (withinMs < 0 || isLogged(receipt) || client.timers.now() > deadline) return receipt;
    await client.sleep(POLL_MS);
  }
}

/** The receipt once all of it is in the log, or as it stands after `withinMs`; of one that is too long to hold the broker says so. */
export async function fetchReceipt(client: MarketClient, lease: string, withinMs = 5_000): Promise<Receipt> {
  let receipt = await readDocuments(client, lease, withinMs);
  if (receipt.lease !== lease) throw new BrokenWordError("the broker's answer is the receipt of another lease");
  if (receipt.hasMore) receipt = await readParts(client, lease, {});
  return receipt.hasMore ? readPart(client, lease, {}) : receipt;
}
