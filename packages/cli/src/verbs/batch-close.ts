/** `xeno batch close`: what was not drawn comes back. */
import { openMarket } from "../input/market.ts";
import type { BatchCloseInput } from "../input/verbs/batch.ts";
import { print, printJson } from "../output/terminal.ts";
import { money } from "../output/ui.ts";

export async function batchClose({ batch, json }: BatchCloseInput): Promise<void> {
  const { market, context } = await openMarket("control");
  const { returnedNanos, answer } = await market.wallet.closeBatch(batch);
  if (json) printJson(answer);
  else print(`${money(returnedNanos, context.currency)} came back`);
}
