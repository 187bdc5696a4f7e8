/** `xeno batch open`: one hold that many leases draw on. */
import { accountOf } from "@xenoservers/sdk";
import { openClient } from "../input/client.ts";
import type { BatchOpenInput } from "../input/verbs/batch.ts";
import { print, printJson } from "../output/terminal.ts";

export async function batchOpen({ budget, expires, account, json }: BatchOpenInput): Promise<void> {
  const { client, context } = await openClient("spend");
  const answer = await client.act("batch", {
    party: context.party,
    account: await accountOf(client, account),
    budgetNanos: budget.toString(),
    expiresAt: await client.brokerTimeIn(expires),
    clientId: client.newId(),
  });
  if (json) printJson(answer);
  else print(String(answer["batch"]));
}
