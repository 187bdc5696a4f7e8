/** Leases as rows: a row is drawn again only where its lease has changed. */
import { memo, type ReactNode } from "react";
import { isLive } from "@xenoservers/market";
import type { LeaseView } from "@xenoservers/protocol";
import { shortId } from "@xenoservers/sdk";
import { costOf, shortState } from "./lease-words.ts";
import { Table } from "./parts.tsx";
import { linkToLease } from "./place.ts";
import { ago, money, said } from "./words.ts";

const HEADS = ["lease", "label", "state", "since", "used", "cost", ""] as const;

interface RowProps {
  lease: LeaseView;
  currency: string;
  since: string;
  isStopping: boolean;
  /** Null: this key may not. */
  stop: ((lease: string) => void) | null;
}

/** What of a lease a row shows. */
const shownOf = ({ id, state, usedMs, end }: LeaseView): string => JSON.stringify([id, state, usedMs, end?.dueNanos]);

const Row = memo(
  function Row({ lease, currency, since, isStopping, stop }: RowProps): ReactNode {
    const { id, label, state, holdNanos } = lease;
    const { text, tone } = shortState(lease);
    const { nanos, used } = costOf(lease);
    return (
      <tr>
        <td>
          <a href={linkToLease(id)}>
            <code>{shortId(id)}</code>
          </a>
        </td>
        <td>{said(label, 60)}</td>
        <td>
          <span className={`state ${tone}`}>{said(text, 60)}</span>
        </td>
        <td>{since}</td>
        <td className="number">{used}</td>
        <td className="number">{nanos === null ? `at most ${money(holdNanos, currency)}` : money(nanos, currency)}</td>
        <td>
          {stop && isLive(state) && (
            <button type="button" className="small" disabled={isStopping} aria-label={`Stop lease ${shortId(id)}`} onClick={() => stop(id)}>
              {isStopping ? "stopping" : "stop"}
            </button>
          )}
        </td>
      </tr>
    );
  },
  (before, after) =>
    shownOf(before.lease) === shownOf(after.lease) &&
    before.since === after.since &&
    before.isStopping === after.isStopping &&
    before.stop === after.stop,
);

interface LeasesTableProps {
  label: string;
  leases: readonly LeaseView[];
  currency: string;
  now: number;
  stopping: ReadonlySet<string>;
  stop: ((lease: string) => void) | null;
}

export function LeasesTable({ label, leases, currency, now, stopping, stop }: LeasesTableProps): ReactNode {
  return (
    <Table label={label} heads={HEADS}>
      {leases.map((lease) => (
        <Row key={lease.id} {...{ lease, currency, stop, since: ago(lease.issuedAt, now), isStopping: stopping.has(lease.id) }} />
      ))}
    </Table>
  );
}
