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
const PAGE = 200;

export function LeasesView({ access, currency }: { access: Access; currency: string }): ReactNode {
  const news = useNews(access.news);
  const [onlyLive, setOnlyLive] = useState(false);
  // where each page begins that was gone through; none: the newest are shown
  const [places, setPlaces] = useState<readonly string[]>([]);
  const after = places.at(-1);
  const read = useCallback(
    (signal: AbortSignal) => access.client.read("leases", { query: { live: onlyLive ? "true" : "false", after, limit: PAGE }, signal }),
    [access, onlyLive, after],
  );
  const reading = useReading(read, EVERY_MS, news);
  const { value, error } = reading;
  const { stopping, stop, error: notStopped } = useStop(access);
  const { party } = access;
  const choose = (isChosen: boolean): void => {
    setOnlyLive(isChosen);
    setPlaces([]);
  };
  const mine = value?.leases.filter(({ customer }) => customer === party) ?? [];
  const isPart = places.length > 0 || (value !== null && value.next !== null);
  return (
    <>
      <h1>Leases</h1>
      <p className="check">
        <input id="live" type="checkbox" checked={onlyLive} onChange={(event) => choose(event.currentTarget.checked)} />
        <label htmlFor="live">Only what is not over</label>
      </p>
      <Unread reading={reading} what="Leases cannot be read" />
      <Problem error={notStopped} what="It was not stopped" />
      {!value && error === null && <Waiting what="Reading" />}
      {value && mine.length === 0 && isPart && <p>None of these was ordered by you.</p>}
      {value && mine.length === 0 && !isPart && (
        <p>
          There is none. <a href={linkTo("run")}>Run something</a>.
        </p>
      )}
      {value && mine.length > 0 && (
        <>
          <LeasesTable label="Leases" leases={mine} {...{ currency, stopping, stop, now: access.client.brokerNow() }} />
          <p className="quiet" role="status">
            {countOf(mine.length, "lease")}
            {value.away.length > 0 && `; ${value.away.length} lie in the market’s archive, which its broker cannot read now`}
          </p>
        </>
      )}
      <Pages
        newer={places.length === 0 ? null : () => setPlaces(places.slice(0, -1))}
        older={value?.next ? () => setPlaces([...places, value.next!]) : null}
      />
    </>
  );
}

interface PagesProps {
  /** Null: there is no such page. */
  newer: (() => void) | null;
  older: (() => void) | null;
}

function Pages({ newer, older }: PagesProps): ReactNode {
  if (newer === null && older === null) return null;
  return (
    <p>
      <button type="button" onClick={newer ?? undefined} disabled={newer === null}>
        Newer
      </button>{" "}
      <button type="button" onClick={older ?? undefined} disabled={older === null}>
        Older
      </button>
    </p>
  );
}
