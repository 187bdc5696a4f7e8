/** `xeno batch open`: one hold that many leases draw on. */
import { given } from "@xenoservers/sdk";
import { openMarket } from "../input/market.ts";
import type { BatchOpenInput } from "../input/verbs/batch.ts";
import { print, printJson } from "../output/terminal.ts";

export async function batchOpen({ budget, expires, account, json }: BatchOpenInput): Promise<void> {
  const { market } = await openMarket("spend");
  const { batch, answer } = await market.wallet.openBatch({ budget, expires, ...given({ account }) });
  if (json) printJson(answer);
  else print(batch);
}
