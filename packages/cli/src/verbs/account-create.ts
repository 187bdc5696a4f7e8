/** `xeno account create`: a sub-account with a limit of its own. */
import { given } from "@xenoservers/sdk";
import { openMarket } from "../input/market.ts";
import type { AccountCreateInput } from "../input/verbs/money.ts";
import { print, printJson } from "../output/terminal.ts";

export async function accountCreate({ name, limit, parent, json }: AccountCreateInput): Promise<void> {
  const { market } = await openMarket("manage");
  const { account, answer } = await market.wallet.addAccount(name, given({ limit, account: parent }));
  if (json) printJson(answer);
  else print(account);
}
