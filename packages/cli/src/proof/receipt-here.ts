/** A receipt that a verb needs: as it lies here, or fetched, and shown as it goes. Who controls the inputs: the broker. */
import type { Witness } from "@xenoservers/protocol";
import { readReceipt } from "@xenoservers/sdk";
import { clientThatReads } from "../input/client.ts";
import { ReceiptLine } from "../output/receipt-line.ts";

type Found = Awaited<ReturnType<typeof readReceipt>>;

/** By file, or by lease. `quiet`: nothing is said of how far it is. */
export async function receiptHere(leaseOrFile: string, witnesses: readonly Witness[], quiet: boolean): Promise<Found> {
  const line = new ReceiptLine(quiet);
  try {
    const found = await readReceipt(leaseOrFile, witnesses, clientThatReads, { onProgress: (progress) => line.show(progress) });
    line.end(true);
    return found;
  } catch (error) {
    line.end(false);
    throw error;
  }
}
