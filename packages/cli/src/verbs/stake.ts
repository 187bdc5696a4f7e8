/** `xeno stake`: what an owner puts down behind its results. */
import { openMarket } from "../input/market.ts";
import type { StakeInput } from "../input/verbs/money.ts";
import { print } from "../output/terminal.ts";
import { money } from "../output/ui.ts";

export async function stake({ direction, amount }: StakeInput): Promise<void> {
  const { market, context } = await openMarket("manage");
  await market.wallet.stake(direction, amount);
  const { staked, available } = await market.wallet.balances();
  print(`${money(staked, context.currency)} staked, ${money(available, context.currency)} available`);
}
