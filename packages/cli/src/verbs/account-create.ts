/** `xeno account create`: a sub-account with a limit of its own. */
import { accountOf } from "@xenoservers/sdk";
import { openClient } from "../input/client.ts";
import type { AccountCreateInput } from "../input/verbs/money.ts";
import { print, printJson } from "../output/terminal.ts";

export async function accountCreate({ name, limit, parent, json }: AccountCreateInput): Promise<void> {
  const { client } = await openClient("manage");
  const answer = await client.act("account", {
    party: client.identity.party,
    parent: await accountOf(client, parent),
    name,
    limitNanos: limit?.toString() ?? null,
    clientId: client.newId(),
  });
  if (json) printJson(answer);
  else print(String(answer["account"]));
}
