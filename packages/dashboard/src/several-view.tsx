/** One program on several files: a row for each. Who controls what is shown: whoever chose the files (names), the jobs (output). */
import { useState, useSyncExternalStore, type ReactNode } from "react";
import { shortId } from "@xenoservers/sdk";
import { Table } from "./parts.tsx";
import { linkToLease } from "./place.ts";
import { Problem } from "./problem.tsx";
import { told } from "./problem-words.ts";
import type { Row, RowState, Several } from "./several.ts";
import { countOf, money, said } from "./words.ts";

const HEADS = ["file", "state", "printed", "cost", "lease"] as const;
const PRINTED_MAX = 160;

const STATES: Readonly<Record<RowState, string>> = {
  waits: "waits",
  ordering: "is ordered",
  running: "runs",
  over: "is over",
  failed: "failed",
  left: "not ordered",
};

/** At a glance. */
function stateOf({ state, result }: Row): { text: string; tone: string } {
  if (result === null) return { text: STATES[state], tone: state === "failed" ? "bad" : state === "left" ? "warn" : "" };
  const text = result.end.reason === "completed" ? `exit ${result.exitCode ?? "?"}` : result.end.reason;
  return { text, tone: result.ok ? "good" : "bad" };
}

function printedOf({ result, error }: Row): string {
  if (error !== null) return told(error).says;
  if (result === null) return "";
  return (result.stdout.trim() || result.stderr.trim() || result.detail).slice(0, PRINTED_MAX + 1);
}

function Line({ row, currency }: { row: Row; currency: string }): ReactNode {
  const { name, lease, result } = row;
  const { text, tone } = stateOf(row);
  return (
    <tr>
      <td>{said(name, 60)}</td>
      <td>
        <span className={`state ${tone}`}>{said(text, 60)}</span>
      </td>
      <td>{said(printedOf(row), PRINTED_MAX)}</td>
      <td className="number">{result && money(result.bill.dueNanos, currency)}</td>
      <td>
        {lease !== null && (
          <a href={linkToLease(lease)}>
            <code>{shortId(lease)}</code>
          </a>
        )}
      </td>
    </tr>
  );
}

function summary(rows: readonly Row[], currency: string): string {
  const well = rows.filter(({ result }) => result?.ok).length;
  const ended = rows.filter(({ state }) => state === "over" || state === "failed").length;
  const paid = rows.reduce((sum, { result }) => sum + (result?.bill.dueNanos ?? 0n), 0n);
  return `${ended} of ${countOf(rows.length, "run")} over, ${well} well; ${money(paid, currency)} in all`;
}

export function SeveralView({ several, currency, clear }: { several: Several; currency: string; clear(): void }): ReactNode {
  const rows = useSyncExternalStore(several.subscribe, several.rows, several.rows);
  const [error, setError] = useState<unknown>(null);
  const { isOver } = several;
  return (
    <section aria-labelledby="several">
      <h2 id="several">A run for each file</h2>
      <p role="status">{summary(rows, currency)}</p>
      <Problem error={error} what="Not all of them were stopped" />
      <Table label="Runs" heads={HEADS}>
        {rows.map((row) => (
          <Line key={row.name} row={row} currency={currency} />
        ))}
      </Table>
      <p className="quiet">
        What was ordered runs on when this page is closed, and stands among the leases; what still waits is ordered from here alone.
      </p>
      <p>
        {!isOver && (
          <button type="button" className="danger" onClick={() => void several.end().catch(setError)}>
            Stop all
          </button>
        )}
        {isOver && (
          <button type="button" onClick={clear}>
            Run something else
          </button>
        )}
      </p>
    </section>
  );
}
