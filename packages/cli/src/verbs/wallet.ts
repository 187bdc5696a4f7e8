/** Money: balances by state, statement, limits, and the operator's own documents. */
import { rootAccountOf, signDocument, type Kind, type Payload } from "@xenoservers/protocol";
import { nodeCrypto } from "@xenoservers/protocol/node";
import { openClient } from "../input/home.ts";
import { parseAmount } from "../input/parse.ts";
import { UserError, money, print, printJson, shortId, table, when } from "../output/ui.ts";

export interface WalletOptions {
  csv?: boolean;
  json?: boolean;
  limit: string;
}

export async function wallet({ csv, json, limit }: WalletOptions): Promise<void> {
  const { client, context } = await openClient();
  const [{ balances, accounts }, { entries }] = await Promise.all([client.read("accounts"), client.read("statement", { query: { limit: Number(limit) } })]);
  const root = rootAccountOf(context.party);
  if (json) return printJson({ balances, accounts, entries });
  const signed = entries.map((entry) => ({ ...entry, amount: (entry.credit.startsWith(`${root}/`) ? 1n : -1n) * BigInt(entry.amountNanos) }));
  if (csv) {
    print("time,id,debit,credit,nanos");
    for (const entry of entries) print([new Date(entry.at).toISOString(), entry.id, entry.debit, entry.credit, entry.amountNanos].join(","));
    return;
  }
  table(
    ["state", "amount", "meaning"],
    [
      ["available", money(balances.available, context.currency), "can be spent or paid out"],
      ["held", money(balances.held, context.currency), "set aside for running leases"],
      ["pending", money(balances.pending, context.currency), "earned, objections still possible"],
      ["staked", money(balances.staked, context.currency), "backs one's own servers"],
    ],
  );
  const limited = accounts.filter(({ limitNanos }) => limitNanos !== null);
  if (limited.length > 0)
    table(
      ["account", "name", "spent", "limit"],
      limited.map(({ id, name, spentNanos, limitNanos }) => [shortId(id), name, money(spentNanos, context.currency), money(limitNanos!, context.currency)]),
    );
  if (signed.length > 0) {
    print();
    table(
      ["time", "from", "to", "amount", "for"],
      signed.map(({ at, id, debit, credit, amount }) => [
        when(at),
        debit.replace(root, "you"),
        credit.replace(root, "you"),
        money(amount < 0n ? -amount : amount, context.currency),
        id.length > 30 ? shortId(id) : id,
      ]),
    );
  }
}

export async function limitSet(account: string, amount: string): Promise<void> {
  const { client, context } = await openClient();
  const id = account === "main" ? context.account : account;
  await client.act("account-limit", {
    party: client.identity.party,
    account: id,
    limitNanos: amount === "none" ? null : parseAmount(amount, "limit").toString(),
    clientId: client.newId(),
  });
  print(`${id} may spend ${amount === "none" ? "without a limit" : money(parseAmount(amount, "limit"), context.currency)} in all`);
}

export async function accountCreate(name: string, { limit, parent, json }: { limit?: string; parent?: string; json?: boolean }): Promise<void> {
  const { client, context } = await openClient();
  const answer = await client.act("account", {
    party: client.identity.party,
    parent: parent ?? context.account,
    name,
    limitNanos: limit === undefined ? null : parseAmount(limit, "--limit").toString(),
    clientId: client.newId(),
  });
  if (json) printJson(answer);
  else print(String(answer["account"]));
}

export async function stake(direction: string, amount: string): Promise<void> {
  if (direction !== "deposit" && direction !== "withdraw") throw new UserError(`stake '${direction}': write deposit or withdraw`);
  const { client, context } = await openClient();
  await client.act("stake", { party: client.identity.party, amountNanos: parseAmount(amount, "stake").toString(), direction, clientId: client.newId() });
  const { balances } = await client.read("accounts");
  print(`${money(balances.staked, context.currency)} staked, ${money(balances.available, context.currency)} available`);
}

/** Operator documents are signed with the key in the broker's folder. */
export async function operate<K extends Kind>(dataFolder: string, kind: K, payload: Omit<Payload<K>, "origin" | "seen" | "clientId">): Promise<void> {
  const { loadBrokerKeys } = await import("@xenoservers/xenocorp");
  const { client, context } = await openClient();
  const { operator, origin } = await loadBrokerKeys(`${dataFolder}/broker-keys.json`, "");
  if (!operator) throw new UserError(`the operator's key is not in ${dataFolder}`);
  if (origin !== context.pins.origin) throw new UserError(`the keys in ${dataFolder} are of ${origin}, the current context is ${context.pins.origin}`);
  const document = signDocument(nodeCrypto, operator, kind, { origin, seen: null, clientId: client.newId(), ...payload } as unknown as Payload<K>);
  const answer = await client.submit(document.envelope);
  if (!answer.ok) {
    const { RefusedError } = await import("@xenoservers/sdk");
    throw new RefusedError(answer);
  }
  print("done");
}
