/** Receipts: fetched until every document has its place in the log, then kept for offline use. */
import type { Receipt, RouteQueryInput } from "@xenoservers/protocol";
import type { MarketClient } from "./client.ts";
import { BrokenWordError } from "./errors.ts";

const POLL_MS = 50;
/** Documents of a part: 1 MB, which a broker has answered before others wait for it. */
export const PART = 500;
const BRIEF_MAX = 10_000;

/** Whether all of it stands in the log, so that a checkpoint can prove it. */
export const isLogged = ({ documents, leaves }: Receipt): boolean => [...documents, ...leaves].every(({ index }) => index !== null);

/** Of a receipt what is asked for. */
export const readPart = (client: MarketClient, id: string, query: RouteQueryInput<"receipt">): Promise<Receipt> =>
  client.read("receipt", { params: { id }, query });

/** All but claims and their receipts, of which there is more than one part where a lease was extended for months. */
async function readBrief(client: MarketClient, lease: string): Promise<Receipt> {
  const receipt = await readPart(client, lease, { limit: PART, brief: "true" });
  for (let part = receipt; part.hasMore && part.documents.length > 0 && receipt.documents.length < BRIEF_MAX;) {
    part = await readPart(client, lease, { limit: PART, brief: "true", size: receipt.size, after: receipt.documents.at(-1)!.id });
    receipt.documents.push(...part.documents);
    receipt.leaves.push(...part.leaves.filter(({ id }) => !receipt.leaves.some((leaf) => leaf.id === id)));
  }
  return { ...receipt, hasMore: true };
}

/**
 * What is in a receipt: all of it, or, where `hasMore` says that it is longer than one part, all but claims and their receipts: as it
 * stands, or once that is in the log, or `withinMs` are over.
 */
export async function readDocuments(client: MarketClient, lease: string, withinMs = -1): Promise<Receipt> {
  for (const deadline = client.timers.now() + withinMs; ;) {
    const first = await readPart(client, lease, { limit: PART });
    const receipt = first.hasMore ? await readBrief(client, lease) : first;
    if (withinMs < 0 || isLogged(receipt) || client.timers.now() > deadline) return receipt;
    await client.sleep(POLL_MS);
  }
}

/** The receipt once all of it is in the log, or as it stands after `withinMs`: in one piece, which a broker refuses of a long one. */
export async function fetchReceipt(client: MarketClient, lease: string, withinMs = 5_000): Promise<Receipt> {
  const receipt = await readDocuments(client, lease, withinMs);
  if (receipt.lease !== lease) throw new BrokenWordError("the broker's answer is the receipt of another lease");
  return receipt.hasMore ? readPart(client, lease, {}) : receipt;
}
