/** `xeno stake`: what an owner puts down behind its results. */
import { openClient } from "../input/client.ts";
import type { StakeInput } from "../input/verbs/money.ts";
import { print } from "../output/terminal.ts";
import { money } from "../output/ui.ts";

export async function stake({ direction, amount }: StakeInput): Promise<void> {
  const { client, context } = await openClient("manage");
  await client.act("stake", { party: client.identity.party, amountNanos: amount.toString(), direction, clientId: client.newId() });
  const { balances } = await client.read("accounts");
  print(`${money(balances.staked, context.currency)} staked, ${money(balances.available, context.currency)} available`);
}
