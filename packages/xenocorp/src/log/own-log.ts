/**
 * Whether a log is this broker's: nothing is signed in a market, and no backup of it is made, before its keys are known to be the ones that
 * its log is signed with. Who controls the inputs: the operator, who names the data folder and the database.
 */
import { logOrigin, parseDocument, parseLogOrigin, verifyCheckpoint, type Crypto, type Payload } from "@xenoservers/protocol";
import { publicKeysOf, type LoadedKeys } from "../broker-keys.ts";
import type { LogHead, Store } from "../store/store.ts";

/** The market that a log's checkpoint names, whoever signed it. */
export function marketOf({ checkpoint }: LogHead): string {
  const origin = checkpoint.split("\n", 1)[0] ?? "";
  return parseLogOrigin(origin)?.market ?? origin;
}

async function publishedKeys(store: Store, crypto: Crypto): Promise<Payload<"market-keys">["keys"][]> {
  return (await store.documentsOfKind("market-keys")).flatMap(({ envelope }) => {
    const parsed = parseDocument(crypto, envelope);
    return parsed.ok && parsed.document.kind === "market-keys" ? [parsed.document.payload.keys] : [];
  });
}

/** Why these are not the keys of the database's log; null where they are. */
export async function keysProblem(store: Store, crypto: Crypto, head: LogHead, { origin, keys }: LoadedKeys): Promise<string | null> {
  const market = marketOf(head);
  if (market !== origin) return `the database holds the market ${market}, the keys are those of ${origin}`;
  const checkpoint = verifyCheckpoint(crypto, keys.checkpoints.publicKey, head.checkpoint);
  if (checkpoint === null || checkpoint.origin !== logOrigin(origin, head.id))
    return `the latest checkpoint of ${market} in the database is not signed with its checkpoint key`;
  const ours = publicKeysOf(keys);
  const published = await publishedKeys(store, crypto);
  const same = published.some(
    ({ purchaseOrders, checkpoints, receipts }) =>
      purchaseOrders === ours.purchaseOrders && checkpoints === ours.checkpoints && receipts === ours.receipts,
  );
  return published.length === 0 || same ? null : `the log of ${market} names other keys than these as its broker's`;
}
