/** `--account`: by id, by its first letters, or by the name that it was made with. */
import type { RouteReply } from "@xenoservers/protocol";
import type { MarketClient } from "@xenoservers/sdk";
import { UserError } from "../output/ui.ts";
import type { Context } from "./home.ts";
import { isAccount } from "./parse.ts";

export type AccountView = RouteReply<"accounts">["accounts"][number];

/** The one that these words mean. Throws UserError. */
export function accountCalled(accounts: readonly AccountView[], wanted: string): AccountView {
  const found = accounts.filter(({ id, name }) => id === wanted || name === wanted);
  const near =
    found.length > 0 ? found : accounts.filter(({ id }) => wanted.length >= 4 && id.replace("a_", "").startsWith(wanted.replace("a_", "")));
  const [only, ...others] = near;
  if (!only)
    throw new UserError(
      `no account is called '${wanted}'; there are: ${accounts.map(({ name }) => name).join(", ") || "none but the main one"}`,
    );
  if (others.length > 0)
    throw new UserError(`'${wanted}' is more than one account (${near.map(({ id }) => id.slice(0, 14)).join(", ")}); write its id`);
  return only;
}

/** The id of the account that is meant; of the context where none is. */
export async function accountOf(client: MarketClient, context: Context, wanted: string | null): Promise<string> {
  if (wanted === null || wanted === "main") return context.account;
  if (isAccount(wanted)) return wanted;
  return accountCalled((await client.read("accounts")).accounts, wanted).id;
}
