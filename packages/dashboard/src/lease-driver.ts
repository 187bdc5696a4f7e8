/** What runs a lease, by its order: which of the page's views it has. Who controls the inputs: the broker (the documents). */
import type { Driver } from "@xenoservers/market";
import { parseDocumentOf, type Crypto, type Receipt } from "@xenoservers/protocol";

/** Null: its order is not there. */
export function driverIn(crypto: Crypto, { documents }: Pick<Receipt, "documents">): Driver | null {
  const order = documents.find(({ kind }) => kind === "order");
  const parsed = order && parseDocumentOf(crypto, "order", order.envelope);
  return parsed?.ok ? parsed.document.payload.driver : null;
}
