/** `xeno limits set`: the most that an account may spend in all. */
import { accountOf } from "@xenoservers/sdk";
import { openClient } from "../input/client.ts";
import type { LimitsInput } from "../input/verbs/money.ts";
import { print } from "../output/terminal.ts";
import { money } from "../output/ui.ts";

export async function limitsSet({ account: wanted, amount }: LimitsInput): Promise<void> {
  const { client, context } = await openClient("manage");
  const account = await accountOf(client, wanted);
  await client.act("account-limit", {
    party: client.identity.party,
    account,
    limitNanos: amount?.toString() ?? null,
    clientId: client.newId(),
  });
  print(`${account} may spend ${amount === null ? "without a limit" : money(amount, context.currency)} in all`);
}
