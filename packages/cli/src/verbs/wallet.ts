/** `xeno wallet`: balances by state, accounts and their limits, statement. */
import { dateText, rootAccountOf, type RouteReply } from "@xenoservers/protocol";
import { type AccountView, accountCalled, listOf, pagesOf, shortId, totalsByLabel } from "@xenoservers/sdk";
import { openClient } from "../input/client.ts";
import type { WalletInput } from "../input/verbs/money.ts";
import { Listing, fromPlace } from "../output/listing.ts";
import { print, printJson, printJsonList } from "../output/terminal.ts";
import { UserError, ago, duration, gigaFuel, money, putTimesAs, table } from "../output/ui.ts";

type Entry = RouteReply<"statement">["entries"][number];

/** The account and all below it. */
export function accountsBelow(accounts: readonly AccountView[], root: AccountView): AccountView[] {
  const children = accounts.filter(({ parent, id }) => parent === root.id && id !== root.id);
  return [root, ...children.flatMap((child) => accountsBelow(accounts, child))];
}

const touches =
  (ids: readonly string[]) =>
  ({ debit, credit }: Entry): boolean =>
    ids.some((id) => debit.startsWith(`${id}/`) || credit.startsWith(`${id}/`));

async function labelTable(json: boolean): Promise<void> {
  const { client, context } = await openClient("read");
  const labels = await totalsByLabel(listOf(client, "leases", { live: "false" }), context.party);
  if (json) {
    const texts = labels.map(({ billableFuel, dueNanos, ...more }) => ({
      ...more,
      billableFuel: String(billableFuel),
      dueNanos: String(dueNanos),
    }));
    return printJson({ labels: texts });
  }
  table(
    ["label", "leases", "running", "failed", "work", "time", "cost"],
    labels.map(({ label, leases, running, failed, billableFuel, billableMs, dueNanos }) => [
      ...[label === "" ? "(none)" : label, leases, running, failed],
      ...[gigaFuel(billableFuel), duration(billableMs), money(dueNanos, context.currency)],
    ]),
  );
}

export async function wallet({ byLabel, csv, limit, after, account, timeFormat, json }: WalletInput): Promise<void> {
  putTimesAs(timeFormat);
  if (byLabel && (csv || after !== null || account !== null))
    throw new UserError("--by-label sums all leases: leave out --csv, --after and --account");
  if (byLabel) return labelTable(json);
  const { client, context } = await openClient("read");
  const { balances, accounts } = await client.read("accounts");
  const chosen = account === null ? null : accountsBelow(accounts, accountCalled(accounts, account));
  const shown = chosen ?? accounts.filter(({ limitNanos }) => limitNanos !== null);
  const isShown = chosen ? touches(chosen.map(({ id }) => id)) : () => true;
  const listing = new Listing(pagesOf(client, "statement", fromPlace(after), limit), ({ entries }) => entries.filter(isShown));
  if (json) return printJsonList({ balances, accounts: chosen ?? accounts }, "entries", listing.byPage(), () => ({ next: listing.next }));
  if (csv) await printCsv(listing);
  else {
    if (!chosen) balanceTable(balances, context.currency);
    accountTable(shown, context.currency);
    statementTable(await listing.all(), { root: rootAccountOf(context.party), now: client.timers.now(), currency: context.currency });
  }
  listing.sayMore(`xeno wallet${csv ? " --csv" : ""}${account === null ? "" : ` --account ${account}`}`);
}

async function printCsv(listing: Listing<RouteReply<"statement">, Entry>): Promise<void> {
  print("time,id,debit,credit,nanos");
  for await (const entries of listing.byPage()) {
    const lines = entries.map(({ at, id, debit, credit, amountNanos }) => [dateText(at), id, debit, credit, amountNanos].join(","));
    if (lines.length > 0) print(...lines);
  }
}

function balanceTable({ available, held, pending, staked, locked }: RouteReply<"accounts">["balances"], currency: string): void {
  table(
    ["state", "amount", "meaning"],
    [
      ["available", money(available, currency), "can be spent or paid out"],
      ["held", money(held, currency), "set aside for running leases"],
      ["pending", money(pending, currency), "earned, objections still possible"],
      ["staked", money(staked, currency), "backs one's own servers"],
      ["locked", money(locked, currency), "stake behind leases that can still be disputed, and deposits of doubts"],
    ],
  );
}

function accountTable(accounts: readonly AccountView[], currency: string): void {
  if (accounts.length === 0) return;
  const left = ({ limitNanos, spentNanos }: AccountView): string =>
    limitNanos === null ? "" : money(BigInt(limitNanos) - BigInt(spentNanos), currency);
  table(
    ["account", "name", "spent", "limit", "left"],
    accounts.map((each) => {
      const limit = each.limitNanos === null ? "none" : money(each.limitNanos, currency);
      return [shortId(each.id), each.name, money(each.spentNanos, currency), limit, left(each)];
    }),
  );
}

function statementTable(entries: readonly Entry[], { root, now, currency }: { root: string; now: number; currency: string }): void {
  if (entries.length === 0) return;
  print();
  table(
    ["time", "from", "to", "amount", "for"],
    entries.map(({ at, id, debit, credit, amountNanos }) => [
      ago(at, now),
      debit.replace(root, "you"),
      credit.replace(root, "you"),
      money(amountNanos, currency),
      id.length > 30 ? shortId(id) : id,
    ]),
  );
}
