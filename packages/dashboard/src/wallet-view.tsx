/** What the party's accounts hold, and what moved in them. */
import { useCallback, type ReactNode } from "react";
import { rootAccountOf, type Balances, type RouteReply } from "@xenoservers/protocol";
import { shortId } from "@xenoservers/sdk";
import type { Access } from "./access.ts";
import { Copied, Table } from "./parts.tsx";
import { Unread, Waiting } from "./problem.tsx";
import { useNews, useReading } from "./use-reading.ts";
import { ago, money, said } from "./words.ts";

const EVERY_MS = 15_000;
const ENTRIES_SHOWN = 100;
const ID_CHARS_MAX = 30;

const MEANING: Readonly<Record<keyof Balances, string>> = {
  available: "can be spent or paid out",
  held: "set aside for running leases",
  pending: "earned, objections still possible",
  staked: "backs one’s own servers",
  locked: "stake behind leases that can still be disputed, and deposits of doubts",
};
const STATES = ["available", "held", "pending", "staked", "locked"] as const satisfies readonly (keyof Balances)[];

type Entry = RouteReply<"statement">["entries"][number];

/** An account's place in the books: one's own, or another's by its first letters, as ids are put everywhere. */
function placeText(place: string, root: string): ReactNode {
  const [account = "", ...state] = place.split("/");
  if (account === root) return said(["you", ...state].join("/"));
  return <span title={said(place)}>{said([account.length > ID_CHARS_MAX ? shortId(account) : account, ...state].join("/"))}</span>;
}

function EntryRow({ entry, root, currency, now }: { entry: Entry; root: string; currency: string; now: number }): ReactNode {
  const { id, debit, credit, amountNanos, at } = entry;
  const isIn = credit.startsWith(root) && !debit.startsWith(root);
  return (
    <tr>
      <td>{ago(at, now)}</td>
      <td>{placeText(debit, root)}</td>
      <td>{placeText(credit, root)}</td>
      <td className={isIn ? "number good" : "number"}>{money(amountNanos, currency)}</td>
      <td>
        <code title={said(id)}>{said(id.length > ID_CHARS_MAX ? shortId(id) : id)}</code>
      </td>
    </tr>
  );
}

export function WalletView({ access, currency }: { access: Access; currency: string }): ReactNode {
  const news = useNews(access.news);
  const read = useCallback(
    async (signal: AbortSignal) => {
      const accounts = await access.market.accounts({ signal });
      const statement = await access.client.read("statement", { query: { limit: ENTRIES_SHOWN }, signal });
      return { accounts, statement };
    },
    [access],
  );
  const reading = useReading(read, EVERY_MS, news);
  const { value, error } = reading;
  const root = rootAccountOf(access.party);
  return (
    <>
      <h1>Wallet</h1>
      <Unread reading={reading} what="The wallet cannot be read" />
      {!value && error === null && <Waiting what="Reading" />}
      {value && (
        <>
          <Table label="Balances" heads={["state", "amount", "meaning"]}>
            {STATES.map((state) => (
              <tr key={state}>
                <td>{state}</td>
                <td className="number">{money(value.accounts.balances[state], currency)}</td>
                <td className="quiet">{MEANING[state]}</td>
              </tr>
            ))}
          </Table>
          {value.accounts.balances.available === "0" && (
            <div className="note">
              <p>
                There is nothing to spend. The operator credits a party by its id: <Copied text={access.party} label="the party" />
              </p>
            </div>
          )}
          <h2>Statement</h2>
          {value.statement.entries.length === 0 && <p className="quiet">Nothing has moved yet.</p>}
          {value.statement.entries.length > 0 && (
            <Table label="Statement" heads={["when", "from", "to", "amount", "for"]}>
              {value.statement.entries.map((entry) => (
                <EntryRow key={entry.id} {...{ entry, root, currency, now: access.client.brokerNow() }} />
              ))}
            </Table>
          )}
          {value.statement.next !== null && (
            <p className="quiet">
              The newest {ENTRIES_SHOWN} are shown; <code>xeno wallet --csv</code> has all.
            </p>
          )}
        </>
      )}
    </>
  );
}
