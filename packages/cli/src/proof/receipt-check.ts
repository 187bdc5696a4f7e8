/** A lease's receipt, kept here and checked at once: purchase order, result and bill. Who controls the inputs: the broker. */
import { ReceiptFile, home, keepReceipt, keptDocuments, type MarketClient } from "@xenoservers/sdk";
import { verifyReceipt, type ReceiptVerification } from "@xenoservers/verify";

/** `withinMs`: so long is waited for the log to take what was signed last. */
export async function keptAndChecked(client: MarketClient, lease: string, withinMs = 0): Promise<ReceiptVerification & { file: string }> {
  const { receipt, file } = await keepReceipt(client, lease, withinMs);
  const documents = (await keptDocuments(home.data, client.pins.origin, lease)).map(({ id }) => id);
  const { signer, party } = client.identity;
  const own = { customerKey: signer.publicKey, party, documents };
  const verified =
    receipt instanceof ReceiptFile ? await receipt.verified(client.pins, own) : verifyReceipt(client.crypto, client.pins, receipt, own);
  return { ...verified, file };
}
