/** `--account`: by id, by its first letters, or by the name that it was made with. */
import { zAccount, type RouteReply } from "@xenoservers/protocol";
import type { MarketClient } from "./client.ts";
import { InputError } from "./errors.ts";

export type AccountView = RouteReply<"accounts">["accounts"][number];

/** The one that these words mean. Throws InputError. */
export function accountCalled(accounts: readonly AccountView[], wanted: string): AccountView {
  const found = accounts.filter(({ id, name }) => id === wanted || name === wanted);
  const near =
    found.length > 0 ? found : accounts.filter(({ id }) => wanted.length >= 4 && id.replace("a_", "").startsWith(wanted.replace("a_", "")));
  const [only, ...others] = near;
  if (!only)
    throw new InputError(
      `no account is called '${wanted}'; there are: ${accounts.map(({ name }) => name).join(", ") || "none but the main one"}`,
    );
  if (others.length > 0)
    throw new InputError(`'${wanted}' is more than one account (${near.map(({ id }) => id.slice(0, 14)).join(", ")}); write its id`);
  return only;
}

/** The id of the account that is meant; the key's own where none is. */
export async function accountOf(client: MarketClient, wanted: string | null, signal?: AbortSignal): Promise<string> {
  if (wanted === null || wanted === "main") return client.identity.account;
  if (zAccount.safeParse(wanted).success) return wanted;
  return accountCalled((await client.read("accounts", { signal })).accounts, wanted).id;
}

/** What may still be ordered from it: what is there, and what its own limit and those above it leave. */
export function spendableIn({ accounts, balances }: RouteReply<"accounts">, account: string): bigint {
  const lefts = [BigInt(balances.available)];
  const seen = new Set<string>();
  for (let id: string | null = account; id !== null && !seen.has(id);) {
    seen.add(id);
    const found: AccountView | undefined = accounts.find((each) => each.id === id);
    if (found && found.limitNanos !== null) lefts.push(BigInt(found.limitNanos) - BigInt(found.spentNanos));
    id = found?.parent ?? null;
  }
  const least = lefts.reduce((one, other) => (other < one ? other : one));
  return least > 0n ? least : 0n;
}
