/** Receipts: fetched until every document has its place in the log, then kept for offline use. */
import type { Receipt } from "@xenoservers/protocol";
import type { MarketClient } from "./client.ts";
import { BrokenWordError } from "./errors.ts";

const POLL_MS = 50;

/** Whether all of it stands in the log, so that a checkpoint can prove it. */
export const isLogged = ({ documents, leaves }: Receipt): boolean => [...documents, ...leaves].every(({ index }) => index !== null);

/** The receipt once all of it is in the log, or as it stands after `withinMs`. */
export async function fetchReceipt(client: MarketClient, lease: string, withinMs = 5_000): Promise<Receipt> {
  for (const deadline = client.timers.now() + withinMs; ;) {
    const receipt = await client.read("receipt", { params: { id: lease } });
    if (receipt.lease !== lease) throw new BrokenWordError("the broker's answer is the receipt of another lease");
    if (isLogged(receipt) || client.timers.now() > deadline) return receipt;
    await client.sleep(POLL_MS);
  }
}
