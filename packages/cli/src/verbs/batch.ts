/** Batches: one hold that many leases draw on. */
import { openClient } from "../input/home.ts";
import { parseAmount, parseDurationMs } from "../input/parse.ts";
import { money, print, printJson } from "../output/ui.ts";

export async function batchOpen(budget: string, { expires, json }: { expires: string; json?: boolean }): Promise<void> {
  const { client, context } = await openClient();
  const answer = await client.act("batch", {
    party: context.party,
    account: context.account,
    budgetNanos: parseAmount(budget, "budget").toString(),
    expiresAt: Date.now() + parseDurationMs(expires, "--expires"),
    clientId: client.newId(),
  });
  if (json) printJson(answer);
  else print(String(answer["batch"]));
}

export async function batchClose(batch: string, { json }: { json?: boolean }): Promise<void> {
  const { client, context } = await openClient();
  const answer = await client.act("batch-close", { party: context.party, batch });
  if (json) printJson(answer);
  else print(`${money(String(answer["returnedNanos"]), context.currency)} came back`);
}
