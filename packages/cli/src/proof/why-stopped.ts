/**
 * Why a lease was stopped, as the stop itself says: by hand, by a program that was told to end, or by the will of one that was lost (a
 * laptop that slept), of which its own end would say no more than that its customer stopped it. Who controls the words: that customer.
 */
import { parseDocumentOf, type LeaseView } from "@xenoservers/protocol";
import { MarketError, readDocuments, type MarketClient } from "@xenoservers/sdk";

/** For people; nothing where it ended otherwise, or its documents cannot be read now. */
export async function stoppedLines(client: MarketClient, { id, end }: LeaseView): Promise<string[]> {
  if (end?.reason !== "customer-stop") return [];
  try {
    const stop = (await readDocuments(client, id)).documents.find(({ kind }) => kind === "stop");
    const parsed = parseDocumentOf(client.crypto, "stop", stop?.envelope);
    return parsed.ok ? [`stopped  with the words '${parsed.document.payload.reason}'`] : [];
  } catch (error) {
    if (error instanceof MarketError) return [];
    throw error;
  }
}
