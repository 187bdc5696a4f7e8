/** `xeno limits set`: the most that an account may spend in all. */
import { openMarket } from "../input/market.ts";
import type { LimitsInput } from "../input/verbs/money.ts";
import { print } from "../output/terminal.ts";
import { money } from "../output/ui.ts";

export async function limitsSet({ account: wanted, amount }: LimitsInput): Promise<void> {
  const { market, context } = await openMarket("manage");
  const account = await market.wallet.limit(wanted, amount);
  print(`${account} may spend ${amount === null ? "without a limit" : money(amount, context.currency)} in all`);
}
