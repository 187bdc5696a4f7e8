/** The party's leases, as they stand now. */
import { useCallback, useState, type ReactNode } from "react";
import type { Access } from "./access.ts";
import { LeasesTable } from "./leases-table.tsx";
import { linkTo } from "./place.ts";
import { Problem, Unread, Waiting } from "./problem.tsx";
import { useNews, useReading } from "./use-reading.ts";
import { useStop } from "./use-stop.ts";
import { countOf } from "./words.ts";

const EVERY_MS = 5_000;
const SHOWN_MAX = 200;

export function LeasesView({ access, currency }: { access: Access; currency: string }): ReactNode {
  const news = useNews(access.news);
  const [onlyLive, setOnlyLive] = useState(false);
  const read = useCallback(
    (signal: AbortSignal) => access.client.read("leases", { query: { live: onlyLive ? "true" : "false", limit: SHOWN_MAX }, signal }),
    [access, onlyLive],
  );
  const reading = useReading(read, EVERY_MS, news);
  const { value, error } = reading;
  const { stopping, stop, error: notStopped } = useStop(access);
  const { party } = access;
  const mine = value?.leases.filter(({ customer }) => customer === party) ?? [];
  return (
    <>
      <h1>Leases</h1>
      <p className="check">
        <input id="live" type="checkbox" checked={onlyLive} onChange={(event) => setOnlyLive(event.currentTarget.checked)} />
        <label htmlFor="live">Only what is not over</label>
      </p>
      <Unread reading={reading} what="Leases cannot be read" />
      <Problem error={notStopped} what="It was not stopped" />
      {!value && error === null && <Waiting what="Reading" />}
      {value && mine.length === 0 && (
        <p>
          There is none. <a href={linkTo("run")}>Run something</a>.
        </p>
      )}
      {value && mine.length > 0 && (
        <>
          <LeasesTable label="Leases" leases={mine} {...{ currency, stopping, stop, now: access.client.brokerNow() }} />
          <p className="quiet" role="status">
            {countOf(mine.length, "lease")}
            {value.next !== null && `; only the newest are shown, xeno ps --all has all`}
            {value.away.length > 0 && `; ${value.away.length} lie in the market’s archive, which its broker cannot read now`}
          </p>
        </>
      )}
    </>
  );
}
